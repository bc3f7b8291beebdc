"""Counters of the API, as Prometheus reads them."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from itertools import accumulate

from hiveminddb.upkeep import Status

# Seconds; from an answer out of memory to one that waits for a model.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """Counts requests and how long they took; lives on the loop thread."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._total: defaultdict[str, float] = defaultdict(float)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; `route` is the pattern, never the caller's own path."""
        self._requests[method, route, status] += 1
        counts = self._seconds.get(route)
        if counts is None:
            counts = self._seconds[route] = [0] * (len(BUCKETS) + 1)
        counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self._total[route] += seconds

    def text(self, status: Status) -> str:
        """Everything counted so far, and the daemon's present state."""
        return "\n".join([*self._requests_text(), *self._seconds_text(), *_state_text(status)]) + "\n"

    def _requests_text(self) -> list[str]:
        return [
            "# HELP hivemind_requests_total Requests answered.",
            "# TYPE hivemind_requests_total counter",
            *(
                f'hivemind_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
                for (method, route, status), count in sorted(self._requests.items())
            ),
        ]

    def _seconds_text(self) -> list[str]:
        lines = [
            "# HELP hivemind_request_seconds From the request's last header to the answer.",
            "# TYPE hivemind_request_seconds histogram",
        ]
        for route, counts in sorted(self._seconds.items()):
            bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
            for bound, count in zip(bounds, accumulate(counts), strict=True):
                lines.append(f'hivemind_request_seconds_bucket{{route="{route}",le="{bound}"}} {count}')
            lines.append(f'hivemind_request_seconds_sum{{route="{route}"}} {self._total[route]:.6f}')
            lines.append(f'hivemind_request_seconds_count{{route="{route}"}} {sum(counts)}')
        return lines


def _state_text(status: Status) -> list[str]:
    lines: list[str] = []
    for name, meaning, value in (
        ("memories", "Memories that are alive.", status.memories),
        ("invalidated", "Memories that were forgotten.", status.invalidated),
        ("topics", "Files of the vault.", status.topics),
        ("changes", "Changes in the log.", status.changes),
        ("vectors", "Texts that have vectors.", status.embedding.vectors),
        ("vectors_missing", "Texts that wait for vectors.", status.embedding.missing),
        ("database_bytes", "Size of the database.", status.database_bytes),
        ("uptime_seconds", "Since the daemon started.", status.uptime_s),
    ):
        lines += [f"# HELP hivemind_{name} {meaning}", f"# TYPE hivemind_{name} gauge", f"hivemind_{name} {value}"]
    return [
        *lines,
        "# HELP hivemind_pending Work the outbox still holds.",
        "# TYPE hivemind_pending gauge",
        f'hivemind_pending{{kind="mirror"}} {status.pending.mirror}',
        f'hivemind_pending{{kind="embed"}} {status.pending.embed}',
        "# HELP hivemind_info The state of each part in a word.",
        "# TYPE hivemind_info gauge",
        f'hivemind_info{{version="{status.version}",vault="{status.vault.state}",'
        f'embedding="{status.embedding.state}",search="{status.search.mode}"}} 1',
    ]
