"""A document as a pycrdt Doc behind pure functions: text and fields in, update bytes out. Pure; nothing is kept.

The Doc has a Text `text` and a Map `fields`. A new document puts all its fields under one key, "", because nobody can
write to them concurrently yet; later writes use one key a field, so that two nodes which change different fields
apart both win. Sets (tags) are one key a member, so that additions and removals made apart both hold.

Every edit uses a client id of its own: it may be made against an old state, and a client id must never number two
different operations the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pycrdt import Doc, Map, Text, merge_updates

from hiveminddb.errors import Corrupt
from hiveminddb.sync.diff import edits
from hiveminddb.sync.encoding import new_document

_INITIAL = ""
_MEMBER = "tags:"
TAGS = "tags"

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a document says: its text and its fields, `tags` among them as a sorted list; absent fields are absent."""

    text: str
    fields: dict[str, Any]


def create(text: str, fields: Fields) -> bytes:
    """The update that makes a new document; also its state. Values are JSON values; numbers come back as floats."""
    return new_document(text, _INITIAL, {name: value for name, value in fields.items() if value is not None})


def edit(state: bytes, *, text: str | None = None, fields: Fields | None = None) -> bytes | None:
    """The update that brings a document from `state` to this text and these fields; None where nothing changes.

    Fields not named stay; a field set to None goes. The state may be an old one: merged into a newer state, the
    update changes only what differs between `state` and what is asked for here.
    """
    doc, body, values = _open(state)
    before = doc.get_state()
    present = _fields(values)
    changed = False
    with doc.transaction():
        if text is not None:
            changed = _rewrite(body, str(body), text)
        for name, value in (fields or {}).items():
            changed = _set(values, present, name, value) or changed
    return doc.get_update(before) if changed else None


def merge(*updates: bytes) -> bytes:
    """The state that these updates make together, in whatever order and however often they come.

    Updates are merged as bytes and not through a Doc: a Doc that is asked for its state leaves out what still waits
    for a missing update.
    """
    parts = [update for update in updates if update]
    for part in parts:
        _open(part)
    return parts[0] if len(parts) == 1 else cast(bytes, _guarded(lambda: merge_updates(*parts)))


def read(state: bytes) -> Content:
    """What the document says in this state."""
    _, body, values = _open(state)
    return Content(str(body), _fields(values))


def _open(state: bytes) -> tuple[Doc[Any], Text, Map[Any]]:
    doc: Doc[Any] = Doc()
    body = doc.get("text", type=Text)
    values = doc.get("fields", type=Map)
    if state:
        _guarded(lambda: doc.apply_update(state))
    return doc, body, values


def _guarded(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (ValueError, RuntimeError) as error:
        raise Corrupt(f"an update that is not a CRDT update: {error}", "run `hmd doctor`") from error


def _rewrite(body: Text, old: str, new: str) -> bool:
    """Edit from the end, so that earlier offsets stay true. The Text counts UTF-8 bytes."""
    changes = edits(old, new)
    at, size = len(old), len(body)
    for change in reversed(changes):
        size -= len(old[change.end : at].encode())
        width = len(old[change.start : change.end].encode())
        if width:
            del body[size - width : size]
        size -= width
        if change.text:
            body.insert(size, change.text)
        at = change.start
    return bool(changes)


def _fields(values: Map[Any]) -> dict[str, Any]:
    raw = values.to_py() or {}
    fields: dict[str, Any] = dict(raw.pop(_INITIAL, None) or {})
    tags = set(fields.pop(TAGS, ()))
    for key, value in raw.items():
        if key.startswith(_MEMBER):
            (tags.add if value else tags.discard)(key.removeprefix(_MEMBER))
        elif value is None:
            fields.pop(key, None)
        else:
            fields[key] = value
    if tags:
        fields[TAGS] = sorted(tags)
    return fields


def _set(values: Map[Any], present: Mapping[str, Any], name: str, value: Any) -> bool:
    if name == TAGS:
        return _set_tags(values, frozenset(present.get(TAGS, ())), frozenset(value or ()))
    if present.get(name) == value:
        return False
    values[name] = value
    return True


def _set_tags(values: Map[Any], present: frozenset[str], wanted: frozenset[str]) -> bool:
    for tag in present ^ wanted:
        values[_MEMBER + tag] = tag in wanted
    return present != wanted
