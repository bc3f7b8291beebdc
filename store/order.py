"""The steps by which the order grows; deterministic, so that nodes that take the same steps have the same order.

While one node decides alone, it gives positions without steps. The step that ends this says how far it went, and all
others are there from then on. What peers tell of positions ahead of the steps changes nothing for the steps.

What is known are the positions from 1 up to `known`. After a snapshot those from there up to the snapshot's are not
known yet, and are filled in from peers, always from the front: so there is at most one such hole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import apsw

from hiveminddb.errors import Conflict
from hiveminddb.model import NodeId
from hiveminddb.store import commits
from hiveminddb.store.commits import ALONE, BASE, SOLE, STEPPED, Base, Run


class Order:
    """The order at this moment of the writer's transaction; made anew after a rollback."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._load()

    def _load(self) -> None:
        connection = self._connection
        self.sole, self.alone = commits.sole(connection), commits.alone(connection)
        self.seq, self.known = commits.last_seq(connection), commits.known_upto(connection)
        self.ordered = commits.ordered_vector(connection)
        self._base, self._stepped = commits.base_of(connection), commits.stepped_of(connection)
        last = commits.last_run(connection)
        self._tail = last if last and last.last == self.seq else None

    @property
    def stepped(self) -> Base:
        """The order as the steps taken here have left it; peers may have told of more."""
        return self._stepped or Base(self.seq, self.ordered)

    def take(self, origin: str, first: int, count: int) -> bool:
        """A step: an origin's counters from `first` on get the next positions, but for those that have one.

        False where counters before `first` have none: nothing is taken then.
        """
        seq, vector = self.stepped
        ordered = vector.get(NodeId(origin), 0)
        if first > ordered + 1:
            return False
        if (new := first + count - 1 - ordered) > 0:
            self._place(Run(seq + 1, NodeId(origin), ordered + 1, new))
        return True

    def seq_of(self, origin: str, counter: int) -> int | None:
        """The position of a change, None while it is pending, or while its run is not known here."""
        tail = self._tail
        if tail and tail.origin == origin and tail.counter <= counter < tail.counter + tail.count:
            return tail.seq + counter - tail.counter
        return commits.seq_of(self._connection, origin, counter)

    def put(self, runs: Iterable[Run], extend: bool) -> None:
        """Takes in what runs of a peer say of positions not known here, from the front.

        Positions after the last are only taken with `extend`: a voter hears of those from Raft alone, whose steps
        depend on how far the order went. Conflict where a run does not fit to those before.
        """
        for run in runs:
            while part := run.part(self.known + 1, self._bound(extend)):
                if part.seq != self.known + 1:
                    break
                self._hear(part) if self.known == self.seq else self._fill(part)

    def set_alone(self, alone: bool) -> None:
        """A step: whether from here on one node gives positions without steps, and tells of them."""
        self.alone = alone
        self._put_meta(ALONE, "1" if alone else "")

    def end_alone(self, seq: int, ordered: Mapping[NodeId, int]) -> None:
        """A step: from here on steps give positions again; the one that decided alone has come to these."""
        if seq > self.stepped.seq:
            self.install(seq, ordered)
        self.set_sole(False)
        self.set_alone(False)

    def install(self, seq: int, ordered: Mapping[NodeId, int], alone: bool = False) -> None:
        """The order that steps made, as a snapshot has it; what is known beyond it peers may have told of.

        Where this node knows less, runs after what it knows are forgotten: there is only one hole at a time. So is
        what cannot be the beginning of that order.
        """
        made = Base(seq, ordered)
        common = self._common(made)
        is_known = common == seq and self.seq == self.known
        self.set_sole(False)
        self.set_alone(alone)
        self._put_stepped(made if is_known and seq < self.seq else None)
        if not is_known:
            self._forget_after(common, made)

    def leave(self) -> None:
        """Gives the whole order up, to take another swarm's: every change is pending again."""
        self._connection.execute("DELETE FROM commits")
        self._connection.execute("DELETE FROM meta WHERE key = ?", (BASE,))
        self.set_sole(False)
        self.set_alone(False)
        self._put_stepped(None)
        self._load()

    def set_sole(self, sole: bool) -> None:
        """Whether this node gives positions without steps, from all on that it knows of; only while one node may."""
        if sole:
            self.set_alone(True)
            self._put_stepped(None)
        self.sole = sole
        self._put_meta(SOLE, "1" if sole else "")

    def _common(self, made: Base) -> int:
        """How far this order can be the beginning of another; where peers told wrong, the steps still count."""
        for upto in (self.known, min(self.known, self.stepped.seq)):
            if made.follows(commits.ordered_upto(self._connection, min(upto, made.seq))):
                return min(upto, made.seq)
        return 0

    def _forget_after(self, seq: int, base: Base) -> None:
        self._connection.execute("DELETE FROM commits WHERE seq > ?", (seq,))
        self._connection.execute("UPDATE commits SET count = ?1 + 1 - seq WHERE seq + count - 1 > ?1", (seq,))
        self._put_meta(BASE, json.dumps(base))
        self._load()

    def _put_stepped(self, stepped: Base | None) -> None:
        self._stepped = stepped
        self._put_meta(STEPPED, json.dumps(stepped) if stepped else "")

    def _bound(self, extend: bool) -> int:
        if self.known < self._base.seq:
            return self._base.seq
        return 1 << 62 if extend and not self.sole else self.seq

    def _place(self, run: Run) -> None:
        """A step gives these positions; what peers have told of them already must be that."""
        if self._stepped is None:
            self._append(run)
            return
        seq, ordered = self._stepped
        told = run.part(run.seq, self.seq)
        if told and not self._holds(told):
            self._forget_after(seq, self._stepped)
        if rest := run.part(self.seq + 1, run.last):
            self._append(rest)
        after = Base(run.last, {**ordered, run.origin: run.counter + run.count - 1})
        self._put_stepped(after if after.seq < self.seq else None)

    def _hear(self, run: Run) -> None:
        """Positions after the last, ahead of the steps."""
        if self._stepped is None:
            self._put_stepped(Base(self.seq, dict(self.ordered)))
        self._append(run)

    def _holds(self, run: Run) -> bool:
        there = commits.run_at(self._connection, run.seq)
        return there is not None and there.part(run.seq, run.last) == run

    def _append(self, run: Run) -> None:
        if run.counter != self.ordered.get(run.origin, 0) + 1:
            raise _unfit(run)
        self._tail = self._store(run, self._tail)
        self.known = run.last if self.known == self.seq else self.known
        self.seq = run.last
        self.ordered[run.origin] = run.counter + run.count - 1

    def _fill(self, run: Run) -> None:
        """A part of the hole, from its front."""
        query = "SELECT counter + count FROM commits WHERE origin = ? AND counter < ? ORDER BY counter DESC LIMIT 1"
        follows = self._connection.execute(query, (run.origin, run.counter)).get or 1
        if run.counter != follows or run.counter + run.count - 1 > self._base.ordered.get(run.origin, 0):
            raise _unfit(run)
        stored = self._store(run, commits.last_run(self._connection, run.seq))
        self.known = run.last
        if run.last == self._base.seq:
            self._close(stored)

    def _close(self, before: Run) -> None:
        """The hole is filled: all runs after it are known."""
        after = commits.run_at(self._connection, self._base.seq + 1)
        if after and after.goes_on(before):
            self._connection.execute("DELETE FROM commits WHERE seq = ?", (after.seq,))
            self._store(after, before)
        self._load()

    def _store(self, run: Run, before: Run | None) -> Run:
        """Lengthens the run before where this one goes on with it; the run as it now stands."""
        if before is None or not run.goes_on(before):
            values = (run.seq, run.origin, run.counter, run.count)
            self._connection.execute("INSERT INTO commits (seq, origin, counter, count) VALUES (?, ?, ?, ?)", values)
            return run
        longer = replace(before, count=before.count + run.count)
        self._connection.execute("UPDATE commits SET count = ? WHERE seq = ?", (longer.count, longer.seq))
        return longer

    def _put_meta(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def _unfit(run: Run) -> Conflict:
    return Conflict(
        f"position {run.seq} is said to be change {run.counter} of {run.origin}, which does not follow those before it",
        "its sender has another order: take it out of the swarm and let it join again",
    )
