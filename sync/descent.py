"""Which updates of a document others build on. Pure.

Times do not tell: one machine with a wrong date makes what it wrote look newer than what others then did with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from hiveminddb.sync import grammar
from hiveminddb.sync.grammar import Update


def in_order(updates: Sequence[bytes]) -> list[int]:
    """The places of updates, each after those it builds on and else as they are; what is no update builds on nothing.

    It follows from the updates and their order alone, so that it is the same on every node.
    """
    parts = [grammar.walk(update) for update in updates]
    makers = _Makers(parts)
    found: list[int] = []
    begun: set[int] = set()
    done: set[int] = set()
    for place in range(len(parts)):
        waiting = [place]
        while waiting:
            last = waiting[-1]
            if last not in begun:
                begun.add(last)
                # Nothing builds on itself, by whatever detour; garbage may say so.
                waiting += [it for it in makers.of(parts[last]) if it not in begun]
            elif waiting.pop() not in done:
                done.add(last)
                found.append(last)
    return found


class _Makers:
    """Which updates made which operations."""

    def __init__(self, parts: Sequence[Update | None]) -> None:
        firsts: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for place, part in enumerate(parts):
            for client, first in part.made if part else ():
                firsts[client].setdefault(first, place)
        self._firsts = {client: sorted(of_client.items()) for client, of_client in firsts.items()}
        self._beginning = [place for place, part in enumerate(parts) if part and part.begins][:1]

    def of(self, part: Update | None) -> Iterator[int]:
        """The updates that made what this one names, itself perhaps among them; before those the document's first."""
        yield from () if part is None or part.begins else self._beginning
        for client, first, last in part.named if part else ():
            firsts = self._firsts.get(client, [])
            begin = bisect_right(firsts, first, key=lambda it: it[0]) - 1
            end = bisect_right(firsts, last, key=lambda it: it[0])
            yield from (place for _, place in firsts[max(begin, 0) : end])
