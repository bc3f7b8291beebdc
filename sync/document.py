"""A document as a pycrdt Doc behind pure functions: text and fields in, update bytes out. Pure; nothing is kept.

The Doc has a Text `text` and a Map `fields`. A new document puts all its fields under one key, "", because nobody can
write to them concurrently yet; later writes use one key a field, so that two nodes which change different fields
apart both win. Sets (tags) are one key a member, so that additions and removals made apart both hold.

Every edit uses a client id of its own: it may be made against an old state, and a client id must never number two
different operations the same. That of a new text follows from its operations: whoever ticks the same item of the same
text, here or elsewhere, now or later, makes the same operations, and it is ticked once. Edits that belong together
(all documents of a renamed file) share one: of concurrent writes to a field the one with the higher client id wins, so
that all of them agree on one winner.

A document may be born on several nodes apart, from the same content (`derive`): its id and first client id follow from
the content, so that all of them make the same document.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pycrdt import Doc, Map, Text, merge_updates

from hiveminddb.errors import Corrupt
from hiveminddb.sync import grammar
from hiveminddb.sync.diff import edits
from hiveminddb.sync.encoding import client_of, derived_document, new_document

_INITIAL = ""
# Numbers operations while it is not known yet which ones they are.
_DRAFT = 1
_MEMBER = "tags:"
TAGS = "tags"

# Begins the name of a field that says where a document was born; one that was born on several nodes has several.
BORN = "born:"

# What a failed assertion inside the library is raised as; the class has no public name, and is no Exception.
_PANIC = "PanicException"

ID_CHARACTERS = 20
_ID_BYTES = 13

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a document says: its text and its fields, `tags` among them as a sorted list; absent fields are absent."""

    text: str
    fields: dict[str, Any]

    @property
    def births(self) -> frozenset[str]:
        """The nodes' marks for making it, where its id follows from its content."""
        return frozenset(name for name in self.fields if name.startswith(BORN))


@dataclass(frozen=True, slots=True)
class Birth:
    """A document whose id follows from its content, and the update that makes it."""

    id: str
    update: bytes


def create(text: str, fields: Fields) -> bytes:
    """The update that makes a new document; also its state. Values are JSON values; numbers come back as floats."""
    return new_document(text, _INITIAL, {name: value for name, value in fields.items() if value is not None})


def derive(text: str, fields: Fields, place: Fields, number: int, client: int) -> Birth:
    """A new document whose id follows from its text, its fields and a number, the same wherever it is made.

    `number` tells documents of the same content apart. `place` are fields that do not count and that may differ from
    node to node, `client` is that of the operation: all documents that it makes agree on whose fields win.
    """
    apart = {**place, f"{BORN}{client:x}": True}
    value = {name: value for name, value in fields.items() if value is not None}
    digest, update = derived_document(text, _INITIAL, value, number.to_bytes(16), apart, client)
    return Birth(base64.b32encode(digest[:_ID_BYTES])[:ID_CHARACTERS].decode().lower(), update)


def edit(
    state: bytes, *, text: str | None = None, fields: Fields | None = None, client: int | None = None
) -> bytes | None:
    """The update that brings a document from `state` to this text and these fields; None where nothing changes.

    Fields not named stay; a field set to None goes. The state may be an old one: merged into a newer state, the
    update changes only what differs between `state` and what is asked for here. A `client` must not be given twice
    for one document, unless the second time the state has what was made the first time.
    """
    if client is not None or text is None:
        return _edited(state, text, fields, client)
    draft = _edited(state, text, fields, _DRAFT)
    return draft and _edited(state, text, fields, client_of(draft))


def _edited(state: bytes, text: str | None, fields: Fields | None, client: int | None) -> bytes | None:
    doc, body, values = _open(state, client)
    present = _fields(values.to_py() or {})
    # What the transaction did and no more: asked for what is new, a Doc adds all that was ever deleted in it.
    made: list[bytes] = []
    watching = doc.observe(lambda event: made.append(event.update))
    changed = False
    with doc.transaction():
        if text is not None:
            changed = _rewrite(body, str(body), text)
        for name, value in (fields or {}).items():
            changed = _set(values, present, name, value) or changed
    doc.unobserve(watching)
    return made[0] if changed else None


def merge(*updates: bytes) -> bytes:
    """The state that these updates make together, in whatever order and however often they come.

    Updates are merged as bytes and not through a Doc: a Doc that is asked for its state leaves out what still waits
    for a missing update. What is no update changes nothing.
    """
    return _merged([update for update in updates if alone(update) is not None])


def join(state: bytes, update: bytes) -> bytes:
    """The same for a state that was made here and an update that `alone` has found to be one."""
    return _merged([part for part in (state, update) if part])


def _merged(parts: Sequence[bytes]) -> bytes:
    if len(parts) < 2:
        return parts[0] if parts else b""
    return cast(bytes, _guarded(lambda: merge_updates(*parts)))


def read(state: bytes) -> Content:
    """What the document says in a state made here; Corrupt where it is damaged."""
    _, body, values = _open(state)
    return _content(body, values)


def steps(updates: Sequence[bytes]) -> Iterator[Content]:
    """What the document says after each update; one that is no update changes nothing."""
    doc, body, values = _open(b"")
    for update in updates:
        if alone(update) is not None:
            _apply(doc, update)
        yield _content(body, values)


@dataclass(frozen=True, slots=True)
class Alone:
    """What an update says by itself, and whether it is one that makes a document: others build on such a one."""

    content: Content
    begins: bool


def alone(update: bytes) -> Alone | None:
    """An update that may be anything; None where it is none that can be merged.

    Told from these bytes alone, so that all nodes say the same.
    """
    found = grammar.walk(update)
    try:
        return Alone(read(update), found.begins) if found else None
    except Corrupt:
        return None


def _content(body: Text, values: Map[Any]) -> Content:
    return cast(Content, _guarded(lambda: Content(str(body), _fields(values.to_py() or {}))))


def _open(state: bytes, client: int | None = None) -> tuple[Doc[Any], Text, Map[Any]]:
    doc: Doc[Any] = Doc(client_id=client)
    body = doc.get("text", type=Text)
    values = doc.get("fields", type=Map)
    if state:
        _apply(doc, state)
    return doc, body, values


def _apply(doc: Doc[Any], update: bytes) -> None:
    _guarded(lambda: doc.apply_update(update))


def _guarded(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (ValueError, RuntimeError, TypeError) as error:
        raise Corrupt(f"an update that is not a CRDT update: {error}", "run `hmd doctor`") from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise Corrupt(f"an update that the CRDT library cannot take: {error}", "run `hmd doctor`") from error


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


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    initial = raw.get(_INITIAL)
    fields: dict[str, Any] = dict(initial) if isinstance(initial, dict) else {}
    tags = _strings(fields.pop(TAGS, ()))
    for key, value in raw.items():
        if key in (_INITIAL, TAGS):
            continue
        if key.startswith(_MEMBER):
            (tags.add if value else tags.discard)(key.removeprefix(_MEMBER))
        elif value is None:
            fields.pop(key, None)
        else:
            fields[key] = value
    if tags:
        fields[TAGS] = sorted(tags)
    return fields


def _strings(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list | tuple) else set()


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
