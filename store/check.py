"""Whether the database is whole: what a doctor looks at, changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import apsw

from hiveminddb.store import changes, commits, outbox

_SHOWN = 10

Probe = Callable[[apsw.Connection], "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found; `rebuild` says that making the projections anew repairs it."""

    check: str
    ok: bool
    message: str
    rebuild: bool = False


# A document whose first change has not come yet has no memory.
_COMPLETE = "NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = c.document AND d.kind = 'incomplete')"

# Each counts what must not be there; all of it is derived, so a rebuild repairs it.
_NONE_OF = {
    "memories without changes": "SELECT count(*) FROM memories m WHERE NOT EXISTS"
    " (SELECT 1 FROM changes c WHERE c.document = m.id)",
    "memories missing": f"SELECT count(DISTINCT document) FROM changes c WHERE kind = 'memory' AND {_COMPLETE}"
    " AND NOT EXISTS (SELECT 1 FROM memories m WHERE m.id = c.document)",
    "versions without a change": "SELECT count(*) FROM"
    " (SELECT document, n FROM past UNION ALL SELECT id, n FROM memories) v WHERE NOT EXISTS"
    " (SELECT 1 FROM changes c WHERE c.n = v.n AND c.document = v.document)",
    "changes without a version": f"SELECT count(*) FROM changes c WHERE kind = 'memory' AND {_COMPLETE}"
    " AND NOT EXISTS (SELECT 1 FROM memories m WHERE m.id = c.document AND m.n = c.n)"
    " AND NOT EXISTS (SELECT 1 FROM past v WHERE v.document = c.document AND v.n = c.n)",
    "versions that do not count up": "SELECT count(*) FROM memories m WHERE m.version <>"
    " 1 + (SELECT count(*) FROM past v WHERE v.document = m.id)",
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

_GAPS = "SELECT origin FROM changes GROUP BY origin HAVING count(*) <> max(counter) OR min(counter) <> 1"


def check(connection: apsw.Connection) -> list[Finding]:
    """Every check, in order; on a damaged file those that cannot be made say so."""
    probes: dict[str, Probe] = {"pages": _pages, "changes": _log, "order of changes": _order, "outbox": _outbox}
    probes |= {name: partial(_none, name, query) for name, query in _NONE_OF.items()}
    return [_guarded(connection, name, probe) for name, probe in probes.items()]


def _guarded(connection: apsw.Connection, name: str, probe: Probe) -> Finding:
    try:
        return probe(connection)
    except apsw.Error as error:
        return Finding(name, False, f"cannot be checked: {error}")


def _pages(connection: apsw.Connection) -> Finding:
    # Unless it is asked something first, the full-text module looks for segments that it remembers from an earlier
    # transaction; merged away since, they would be taken for damage.
    connection.execute("SELECT rowid FROM entries('a') LIMIT 1").fetchall()
    errors = [text for (text,) in connection.execute(f"PRAGMA integrity_check({_SHOWN})")]
    whole = errors == ["ok"]
    return Finding("pages", whole, "the file is whole" if whole else "damaged: " + "; ".join(errors))


def _none(name: str, query: str, connection: apsw.Connection) -> Finding:
    count = int(connection.execute(query).get)
    return Finding(name, count == 0, "none" if count == 0 else f"{count} found", rebuild=count > 0)


def _log(connection: apsw.Connection) -> Finding:
    gaps = [str(origin) for (origin,) in connection.execute(_GAPS)]
    count = int(connection.execute("SELECT count(*) FROM changes").get)
    return Finding("changes", not gaps, f"lacking some of {', '.join(gaps)}" if gaps else f"{count}, none lacking")


def _order(connection: apsw.Connection) -> Finding:
    known, last = commits.known_upto(connection), commits.last_seq(connection)
    end, hole, counters = 0, (known, commits.base_of(connection).seq), dict[str, int]()
    for seq, origin, counter, count in connection.execute(
        "SELECT seq, origin, counter, count FROM commits ORDER BY seq"
    ):
        in_hole = (end, seq - 1) == hole
        follows = counter > counters.get(origin, 0) if seq > known else counter == counters.get(origin, 0) + 1
        if count < 1 or not follows or (seq != end + 1 and not in_hole):
            return Finding("order of changes", False, f"position {seq} does not follow those before it")
        end, counters[origin] = seq + count - 1, counter + count - 1
    if commits.sole(connection) and commits.ordered_vector(connection) != changes.version_vector(connection):
        return Finding("order of changes", False, "changes without a position, though this node alone decides")
    lacking = f", {last - known} of them not known yet" if known < last else ""
    return Finding("order of changes", True, f"{last} committed{lacking}")


def _outbox(connection: apsw.Connection) -> Finding:
    last = changes.last_change(connection)
    query = "SELECT count(*) FILTER (WHERE n > ?) FROM (SELECT n FROM to_mirror UNION ALL SELECT n FROM to_embed)"
    ahead = int(connection.execute(query, (last,)).get)
    counts = ((kind, outbox.pending_count(connection, kind)) for kind in ("embed", "mirror"))
    message = ", ".join(f"{kind}: {count} waiting" for kind, count in counts if count) or "nothing waiting"
    return Finding("outbox", ahead == 0, message if ahead == 0 else f"{ahead} marks for changes there are not")
