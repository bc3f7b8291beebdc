"""Whether the database is whole: what a doctor looks at, changing nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import apsw

_SHOWN = 10

Probe = Callable[[apsw.Connection], "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found; `rebuild` says that making the projections anew repairs it."""

    check: str
    ok: bool
    message: str
    rebuild: bool = False


# Each counts what must not be there; all of it is derived, so a rebuild repairs it.
_NONE_OF = {
    "memories without changes": "SELECT count(*) FROM memories m WHERE NOT EXISTS"
    " (SELECT 1 FROM changes c WHERE c.document = m.id)",
    "memories missing": "SELECT count(DISTINCT document) FROM changes c WHERE kind = 'memory' AND NOT EXISTS"
    " (SELECT 1 FROM memories m WHERE m.id = c.document)",
    "versions without a change": "SELECT count(*) FROM versions v WHERE NOT EXISTS"
    " (SELECT 1 FROM changes c WHERE c.n = v.n AND c.document = v.document)",
    "changes without a version": "SELECT count(*) FROM changes c WHERE kind = 'memory' AND NOT EXISTS"
    " (SELECT 1 FROM versions v WHERE v.document = c.document AND v.n = c.n)",
    "versions that do not count up": "SELECT count(*) FROM memories m WHERE m.version <>"
    " (SELECT count(*) FROM versions v WHERE v.document = m.id)",
    "documents behind their changes": "SELECT count(*) FROM documents d WHERE d.n <>"
    " (SELECT max(c.n) FROM changes c WHERE c.document = d.id)",
    "tags that differ from their memory": "SELECT count(*) FROM (SELECT t.tag, t.id FROM memory_tags t EXCEPT"
    " SELECT j.value, m.id FROM memories m, json_each(m.tags) j"
    " UNION ALL SELECT * FROM (SELECT j.value, m.id FROM memories m, json_each(m.tags) j EXCEPT"
    " SELECT tag, id FROM memory_tags))",
    "texts missing from the full-text index": "SELECT count(*) FROM memories m WHERE listed AND invalidated_at IS NULL"
    " AND slot <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'fulltext_upto')"
    " AND NOT EXISTS (SELECT 1 FROM entries_docsize e WHERE e.id = m.slot)",
    "texts left over in the full-text index": "SELECT count(*) FROM entries_docsize e WHERE NOT EXISTS"
    " (SELECT 1 FROM memories m WHERE m.slot = e.id AND listed AND invalidated_at IS NULL)",
}


def check(connection: apsw.Connection) -> list[Finding]:
    """Every check, in order; on a damaged file those that cannot be made say so."""
    probes: dict[str, Probe] = {"pages": _pages, "order of changes": _order, "outbox": _outbox}
    probes |= {name: partial(_none, name, query) for name, query in _NONE_OF.items()}
    return [_guarded(connection, name, probe) for name, probe in probes.items()]


def _guarded(connection: apsw.Connection, name: str, probe: Probe) -> Finding:
    try:
        return probe(connection)
    except apsw.Error as error:
        return Finding(name, False, f"cannot be checked: {error}")


def _pages(connection: apsw.Connection) -> Finding:
    errors = [text for (text,) in connection.execute(f"PRAGMA integrity_check({_SHOWN})")]
    whole = errors == ["ok"]
    return Finding("pages", whole, "the file is whole" if whole else "damaged: " + "; ".join(errors))


def _none(name: str, query: str, connection: apsw.Connection) -> Finding:
    count = int(connection.execute(query).get)
    return Finding(name, count == 0, "none" if count == 0 else f"{count} found", rebuild=count > 0)


def _order(connection: apsw.Connection) -> Finding:
    count, last = connection.execute("SELECT count(seq), coalesce(max(seq), 0) FROM changes").get
    return Finding("order of changes", count == last, f"{count} committed, last position {last}")


def _outbox(connection: apsw.Connection) -> Finding:
    waiting = dict(_waiting(connection))
    ahead = int(
        connection.execute("SELECT count(*) FROM outbox WHERE n > (SELECT coalesce(max(n), 0) FROM changes)").get
    )
    message = ", ".join(f"{kind}: {count} waiting" for kind, count in waiting.items()) or "nothing waiting"
    return Finding("outbox", ahead == 0, message if ahead == 0 else f"{ahead} marks for changes there are not")


def _waiting(connection: apsw.Connection) -> Iterator[tuple[str, int]]:
    for kind, count in connection.execute("SELECT kind, count(*) FROM outbox GROUP BY kind ORDER BY kind"):
        yield str(kind), int(count)
