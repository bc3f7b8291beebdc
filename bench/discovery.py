"""Discovery on a network of namespaces: how soon nodes find and follow each other, and what it costs while idle.

Run from the repository, as root: python -m bench.discovery
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench.looking import Looking
from bench.netns import Host, Network
from bench.running import Row, arguments, at_most, latency, report, say, until

FIND_S = 2.0
FOLLOW_S = 5.0
IDLE_BYTES = 20_000.0
PATIENCE_S = 60.0
# The first questions and announcements are over by then.
SETTLED_S = 20.0


def everybody(lookers: Sequence[Looking]) -> bool:
    return all(one.sees(*(other for other in lookers if other is not one)) for one in lookers)


def ready(lookers: Sequence[Looking]) -> None:
    until(lambda: all(looking.events for looking in lookers), PATIENCE_S, "all have started", pause=0.002)


def found(lookers: Sequence[Looking]) -> float:
    """Seconds from the last one's start until all see all."""
    ready(lookers)
    return until(lambda: everybody(lookers), PATIENCE_S, "all see all", pause=0.005)


def followed(lookers: Sequence[Looking], host: Host, number: int) -> float:
    """Seconds from a machine's new address until all others have it and nothing else."""
    moved, others = lookers[0], lookers[1:]
    host.move(f"10.77.0.{100 + number}")
    fresh = [host.address]
    return until(lambda: all(other.hosts_of(moved) == fresh for other in others), PATIENCE_S, "followed", pause=0.005)


def told(lookers: Sequence[Looking], number: int) -> float:
    """Seconds until all others know of an invite."""
    tag = f"{number:x}"
    lookers[0].say({"invite_tag": tag})
    node = lookers[0].node
    known = [other for other in lookers[1:]]
    return until(lambda: all(o.seen[node]["invite_tag"] == tag for o in known), PATIENCE_S, "told", pause=0.005)


def idle(hosts: Sequence[Host], seconds: float) -> float:
    """Bytes a minute that one machine sends while nothing happens, the average of all."""
    before = sum(map(sent, hosts))
    time.sleep(seconds)
    return (sum(map(sent, hosts)) - before) / len(hosts) * 60 / seconds


def sent(host: Host) -> int:
    return int(host.run("cat", "/sys/class/net/eth0/statistics/tx_bytes"))


def measure(nodes: int, rounds: int, seconds: float) -> list[Row]:
    with Network(nodes) as network, ExitStack() as stack:
        lookers = []
        for number, host in enumerate(network.hosts):
            lookers.append(Looking(host, "abcdefghijklmnopqrstuvwxyz"[number]))
            stack.callback(lookers[-1].end)
        finding = found(lookers)
        say(f"{nodes} nodes: found after {finding:.2f} s; idle for {seconds:g} s")
        time.sleep(SETTLED_S)
        quiet = idle(network.hosts, seconds)
        following = [followed(lookers, network.hosts[0], number) for number in range(rounds)]
        telling = [told(lookers, number + 1) for number in range(rounds)]
    return [
        at_most(f"{nodes} nodes at once: all see all after the last is ready", finding, "s", FIND_S),
        at_most(f"{nodes} nodes, idle: what one sends in a minute", quiet, "bytes", IDLE_BYTES),
        latency(f"{nodes} nodes: a new address known, the old one forgotten", following, FOLLOW_S * 1e3),
        latency(f"{nodes} nodes: an invite known to all", telling, FIND_S * 1e3),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to listen to the idle network")
    options = parser.parse_args()
    rows = [row for nodes in options.nodes for row in measure(nodes, options.rounds, options.seconds)]
    report("Discovery", rows, options.json)


if __name__ == "__main__":
    main()
