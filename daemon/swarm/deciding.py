"""What a command does: deterministic, so that all nodes that take the same steps end in the same state.

No clock, no chance, nothing that this node alone knows. A command that cannot be done is refused and the refusal is its
result; only a database that cannot be written raises, and then the whole step is taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import (
    AddMember,
    Changes,
    ClaimName,
    Command,
    DecideAlone,
    DecideTogether,
    Expire,
    Grant,
    Order,
    Release,
    ReleaseName,
    RemoveMember,
    RenameMember,
    Renew,
    SetRegister,
)
from hiveminddb.model import Change, NodeId
from hiveminddb.store import claims, directory, machine
from hiveminddb.store.claims import LeaseRow, NameRow, RegisterRow
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.machine import Outcome, Progress, ResultRow
from hiveminddb.store.transaction import Transaction

# All claims together have to fit in a snapshot that is sent in one piece.
MOST_LEASES = 4096
MOST_REGISTERS = 512
MOST_NAMES = 4096
MOST_NODES = 256

# Takes changes in that were made elsewhere: those not known yet are appended and projected. It takes whatever
# `commands.decode` lets through: whether a change is ordered must not depend on who has it already.
Absorb = Callable[[Transaction, Sequence[Change]], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command; what `number` and `text` are depends on the command and the outcome."""

    outcome: Outcome
    number: int = 0
    text: str = ""


class Deciding:
    """The steps of one transaction, taken in their order; `finish` remembers how far they went."""

    def __init__(self, tx: Transaction, absorb: Absorb) -> None:
        self._tx, self._absorb, self._db = tx, absorb, tx.connection
        at = machine.progress(self._db)
        self.step, self.term, self._token, self._result = at

    def apply(self, step: int, term: int, command: Command | None) -> Result:
        """Takes the step at this index of the log; None is a step that does nothing."""
        self.step, self.term = step, term
        if command is None:
            return Result("done")
        if isinstance(command, Changes | Order):
            # Done twice they do no harm, so that their results need not be kept.
            return self._ordered(command)
        if known := machine.result_of(self._db, command.id):
            return Result(known.outcome, known.number, known.text)
        result = self._decided(command)
        self._result += 1
        row = ResultRow(self._result, command.id, result.outcome, result.number, result.text)
        machine.put_result(self._db, row)
        return result

    def finish(self) -> None:
        """Makes the progress part of the transaction."""
        machine.put_progress(self._db, Progress(self.step, self.term, self._token, self._result))

    # -- the order

    def _ordered(self, command: Changes | Order) -> Result:
        if isinstance(command, Order):
            return self._placed(command.origin, command.first, command.count)
        carried = commands.carried(command)
        self._absorb(self._tx, carried)
        return self._placed(carried[0].origin, carried[0].counter, len(carried))

    def _placed(self, origin: str, first: int, count: int) -> Result:
        order = self._tx.order
        # While one node decides alone, a step gives no position; there what it carries has got its own already.
        taken = not order.alone and order.take(origin, first, count)
        return Result("done" if taken else "gap", order.stepped.ordered.get(NodeId(origin), 0), origin)

    # -- claims

    def _decided(self, command: Command) -> Result:
        match command:
            case DecideAlone():
                self._tx.order.set_alone(True)
                return Result("done")
            case DecideTogether():
                self._tx.order.end_alone(*commands.reached(command))
                return Result("done")
            case Grant():
                return self._grant(command)
            case Renew() | Release() | Expire():
                return self._of_lease(command)
            case SetRegister():
                return self._set(command)
            case ClaimName() | ReleaseName():
                return self._name(command)
            case AddMember():
                return self._add(command)
            case RemoveMember() | RenameMember():
                return self._of_member(command)
        raise AssertionError(f"no step for {command!r}")

    def _grant(self, command: Grant) -> Result:
        if holder := claims.lease(self._db, command.key):
            return Result("held", holder.token, holder.holder)
        if claims.count(self._db, "leases") >= MOST_LEASES:
            return Result("full", MOST_LEASES)
        self._token += 1
        row = LeaseRow(command.key, command.holder, self._token, command.ttl_ms, self.step)
        claims.put_lease(self._db, row)
        return Result("done", self._token)

    def _of_lease(self, command: Renew | Release | Expire) -> Result:
        held = claims.lease(self._db, command.key)
        if held is None or held.token != command.token:
            return Result("gone", held.token if held else 0, held.holder if held else "")
        if isinstance(command, Renew):
            claims.put_lease(self._db, held._replace(granted=self.step))
            return Result("done", held.token)
        if isinstance(command, Expire) and held.granted != command.granted:
            # Renewed after the leader had seen its time run out.
            return Result("held", held.token, held.holder)
        claims.drop_lease(self._db, command.key)
        return Result("done", held.token)

    def _set(self, command: SetRegister) -> Result:
        now = claims.register(self._db, command.key)
        version = now.version if now else 0
        if command.version not in (None, version):
            return Result("mismatch", version)
        if command.expected is not None and (now is None or now.value != command.expected):
            return Result("mismatch", version)
        if now is None and claims.count(self._db, "registers") >= MOST_REGISTERS:
            return Result("full", MOST_REGISTERS)
        claims.put_register(self._db, RegisterRow(command.key, command.value, version + 1))
        return Result("done", version + 1)

    def _name(self, command: ClaimName | ReleaseName) -> Result:
        now = claims.name(self._db, command.name)
        if now and now.holder != command.holder:
            return Result("taken", text=now.holder)
        if isinstance(command, ReleaseName):
            claims.drop_name(self._db, command.name)
            return Result("done" if now else "gone")
        if now is None and claims.count(self._db, "names") >= MOST_NAMES:
            return Result("full", MOST_NAMES)
        claims.put_name(self._db, NameRow(command.name, command.holder))
        return Result("done")

    # -- members

    def _add(self, command: AddMember) -> Result:
        now = directory.node(self._db, command.node)
        if now and now.public_key != command.public_key:
            return Result("taken", text=now.name)
        if now is None and len(directory.nodes(self._db)) >= MOST_NODES:
            return Result("full", MOST_NODES)
        self._token = max(self._token, command.token)
        since = now.since if now else self.step
        name = now.name if now else self._free(command.name)
        node = NodeId(command.node)
        directory.put_node(self._db, NodeRow(node, command.public_key, name, command.role, since))
        return Result("done", since, name)

    def _of_member(self, command: RemoveMember | RenameMember) -> Result:
        now = directory.node(self._db, command.node)
        if now is None:
            return Result("gone")
        if isinstance(command, RemoveMember):
            directory.drop_node(self._db, command.node)
            return Result("done", text=now.name)
        bearer = directory.named(self._db, command.name)
        if bearer and bearer.id != command.node:
            return Result("taken", text=bearer.id)
        directory.put_node(self._db, now._replace(name=command.name))
        return Result("done", text=command.name)

    def _free(self, name: str) -> str:
        """The name, or the first of "name-2", "name-3", … that nobody bears."""
        free, number = name, 1
        while directory.named(self._db, free):
            number += 1
            free = f"{name[: commands.KEY_LENGTH - 4]}-{number}"
        return free
