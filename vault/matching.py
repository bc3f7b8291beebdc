"""Which new piece of a text is which old one, surest signs first. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hiveminddb.vault import markdown
from hiveminddb.vault.likeness import similarity

# A lone old piece facing a lone new one is the same entry unless the texts share next to nothing.
ALIKE = 0.5
LONE_ALIKE = 0.2
# Comparing all with all is for the few pieces that nothing else could place.
MAX_COMPARED = 400
MAX_ALONG = 1_000


@dataclass(slots=True)
class Matching:
    """Pairs of pieces: `pairs` has the index of the old one by that of the new one."""

    old: Sequence[str]
    new: Sequence[str]
    pairs: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.old and self.new and _headless(self.old[0]) and _headless(self.new[0]):
            self.pairs[0] = 0
        self._equal(lambda text: text)
        self._equal(_heading)
        self._equal(_content)
        self._alike()

    def _equal(self, key: Callable[[str], str]) -> None:
        """Pair equal keys: first those there is one of, then in order between what is paired, then anywhere."""
        self._pair(key, self._left(), once=True)
        for left in list(self._gaps()):
            self._pair(key, left, in_place=True)
        self._pair(key, self._left())

    def _pair(self, key: Callable[[str], str], left: _Left, once: bool = False, in_place: bool = False) -> None:
        olds, news = _by_key(key, self.old, left.old), _by_key(key, self.new, left.new)
        for value, theirs in news.items():
            ours = olds.get(value, [])
            if once and (len(ours) != 1 or len(theirs) != 1):
                continue
            if key is not _heading or len(ours) + len(theirs) > 40:
                self.pairs.update(zip(theirs, ours, strict=False))
            else:
                # Programs write many entries in one second: one that also stands elsewhere must be alike.
                is_sign = in_place or not markdown.BY_SERVER.match(value + "\n")
                self._most_alike(_Left(ours, theirs), least=0.0 if is_sign else LONE_ALIKE)

    def _alike(self) -> None:
        for left in list(self._gaps()):
            lone = len(left.old) == len(left.new) == 1
            self._most_alike(left, LONE_ALIKE if lone else ALIKE)
        self._most_alike(self._left(), ALIKE)

    def _most_alike(self, left: _Left, least: float) -> None:
        scored = ((similarity(_compared(self.old[i]), _compared(self.new[j])), i, j) for i, j in left.candidates())
        for score, i, j in sorted(scored, key=lambda s: (-s[0], abs(s[1] - s[2]), s[2])):
            if score < least:
                break
            if j not in self.pairs and i not in left.taken:
                self.pairs[j] = i
                left.taken.add(i)

    def _left(self) -> _Left:
        used = set(self.pairs.values())
        return _Left(
            [i for i in range(len(self.old)) if i not in used],
            [j for j in range(len(self.new)) if j not in self.pairs],
        )

    def _gaps(self) -> Iterator[_Left]:
        """What is unpaired between neighbouring pairs that kept their order."""
        fixed = longest_rising([self.pairs[j] for j in sorted(self.pairs)])
        left = self._left()
        borders = [(i, j) for j, i in sorted(self.pairs.items()) if i in fixed]
        olds, news = iter([*left.old, len(self.old)]), iter([*left.new, len(self.new)])
        old, new = next(olds), next(news)
        for last_old, last_new in [*borders, (len(self.old), len(self.new))]:
            gap = _Left([], [])
            while old < last_old:
                gap.old.append(old)
                old = next(olds)
            while new < last_new:
                gap.new.append(new)
                new = next(news)
            if gap.old and gap.new:
                yield gap


@dataclass(slots=True)
class _Left:
    """Indices of old and new pieces without a partner."""

    old: list[int]
    new: list[int]
    taken: set[int] = field(default_factory=set)

    def candidates(self) -> Iterable[tuple[int, int]]:
        """Which to compare: all with all while they are few, else those at the same place from either end."""
        if len(self.old) * len(self.new) <= MAX_COMPARED:
            return [(i, j) for i in self.old for j in self.new]
        along = zip(self.old[:MAX_ALONG], self.new[:MAX_ALONG], strict=False)
        back = zip(self.old[: -MAX_ALONG - 1 : -1], self.new[: -MAX_ALONG - 1 : -1], strict=False)
        return dict.fromkeys([*along, *back])


def longest_rising(values: Sequence[int]) -> set[int]:
    """The values of a longest rising subsequence: what keeps its place when the rest moves."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for i, value in enumerate(values):
        k = bisect_left(ends, value)
        before.append(at[k - 1] if k else -1)
        ends[k : k + 1], at[k : k + 1] = [value], [i]
    kept, i = set(), at[-1] if at else -1
    while i >= 0:
        kept.add(values[i])
        i = before[i]
    return kept


def _by_key(key: Callable[[str], str], texts: Sequence[str], indices: Iterable[int]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for i in indices:
        if value := key(texts[i]):
            found[value].append(i)
    return found


def _headless(piece: str) -> bool:
    return markdown.heading_time(piece) is None


def _heading(piece: str) -> str:
    return "" if _headless(piece) else piece.split("\n", 1)[0].strip(markdown.BLANK)


def _content(piece: str) -> str:
    start, end = markdown.body(piece, is_head=_headless(piece))
    return piece[start:end]


def _compared(piece: str) -> str:
    return _content(piece) or piece
