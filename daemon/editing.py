"""From a patch to a document's new text and fields. Pure but for the row it reads."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from hiveminddb.daemon.authoring import micros
from hiveminddb.daemon.intents import Append, Edit, Patch, Replace, SetContent
from hiveminddb.daemon.projection import HEAD, META, metadata_fields
from hiveminddb.errors import Conflict
from hiveminddb.store.rows import MemoryRow
from hiveminddb.vault import edits, markdown

_PLAIN = ("memory_type", "confidence", "tags")
_CLEARABLE = ("user_id", "agent_id", "session_id", "speaker", "source")


def refuse_stale(row: MemoryRow, version: int | None) -> None:
    """Conflict where the caller has seen another version than the present one."""
    if version is not None and version != row.version:
        raise Conflict(
            f"memory {row.id} is at version {row.version}, not {version}",
            "read it again and repeat the change, or leave `version` out to merge",
        )


def new_text(row: MemoryRow, edit: Edit | None) -> str | None:
    """The whole span after an edit of the content; None where there is none."""
    if edit is None:
        return None
    return markdown.with_body(row.text, row.role == HEAD, _content(row.content, edit))


def _content(content: str, edit: Edit) -> str:
    if isinstance(edit, SetContent):
        return edit.content
    if isinstance(edit, Append):
        return edits.append(content, edit.text)
    if isinstance(edit, Replace):
        return edits.replace_once(content, edit.old, edit.new)
    return edits.replace_section(content, edit.heading, edit.content)


def new_fields(patch: Patch, present: dict[str, Any]) -> dict[str, Any]:
    """The fields a patch sets; one set to None goes. `present` are those the document has."""
    fields: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(patch, name)) is not None}
    fields |= {name: value for name in _CLEARABLE if (value := getattr(patch, name)) is not UNSET}
    if patch.valid_from is not UNSET:
        fields["valid_from"] = micros(patch.valid_from)
    if patch.valid_until is not UNSET:
        fields["valid_until"] = micros(patch.valid_until)
    if patch.metadata is not None:
        fields |= dict.fromkeys(name for name in present if name.startswith(META)) | metadata_fields(patch.metadata)
    return fields
