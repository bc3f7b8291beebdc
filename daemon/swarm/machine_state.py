"""The whole state of the machine as bytes: what a node gets that lags too far behind the log, or has just joined."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId
from hiveminddb.store import claims, commits, directory, machine
from hiveminddb.store.claims import LeaseRow, NameRow, RegisterRow
from hiveminddb.store.commits import Base
from hiveminddb.store.database import Connection
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.machine import Progress, ResultRow
from hiveminddb.store.transaction import Transaction

FORMAT = 1


class State(msgspec.Struct, frozen=True, array_like=True):
    """What all nodes that took the same steps agree on; no clock, no rows that only one node has."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    progress: Progress
    seq: int
    ordered: dict[NodeId, int]
    alone: bool
    leases: list[LeaseRow]
    registers: list[RegisterRow]
    names: list[NameRow]
    nodes: list[NodeRow]
    results: list[ResultRow]


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(State)


def encode(state: State) -> bytes:
    """The state as msgpack; the same state gives the same bytes."""
    return _encoder.encode(state)


def decode(payload: bytes) -> State:
    """The state; InvalidFrame where it is none, or one of another format."""
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        hint = "run the same version of HiveMindDB on all machines"
        raise InvalidFrame(f"not the state of a swarm: {error}", hint) from error


def read(connection: Connection) -> State:
    """The state at one moment of the database."""
    made = commits.stepped_of(connection) or Base(commits.last_seq(connection), commits.ordered_vector(connection))
    return State(
        FORMAT,
        machine.progress(connection),
        made.seq,
        dict(made.ordered),
        commits.alone(connection),
        claims.leases(connection),
        claims.registers(connection),
        claims.names(connection),
        directory.nodes(connection),
        machine.results(connection),
    )


def write(tx: Transaction, state: State, step: int, term: int) -> None:
    """Puts the state, as of that step, in the place of the one there is."""
    connection = tx.connection
    machine.put_progress(connection, state.progress._replace(step=step, term=term))
    machine.replace_results(connection, state.results)
    claims.replace_all(connection, state.leases, state.registers, state.names)
    directory.replace_nodes(connection, state.nodes)
    tx.order.install(state.seq, state.ordered, state.alone)
