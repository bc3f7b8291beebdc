"""Bodies of requests that look after the daemon: imports, the vault's questions, the doctor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hiveminddb.daemon.api.fields import BULK_LIMIT
from hiveminddb.daemon.intents import ImportFile, VaultChoice


class MarkdownFile(Struct, forbid_unknown_fields=True):
    """A markdown file: its path inside the imported folder, and its exact text."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    text: str


class Import(Struct, forbid_unknown_fields=True):
    """Markdown files to take in."""

    files: Annotated[list[MarkdownFile], Meta(max_length=BULK_LIMIT)]

    def import_files(self) -> list[ImportFile]:
        return [ImportFile(file.path, file.text) for file in self.files]


class VaultAnswer(Struct, forbid_unknown_fields=True):
    """The answer to a vault that stopped to ask."""

    choice: VaultChoice


class Examination(Struct, forbid_unknown_fields=True):
    """What the doctor shall do."""

    rebuild: bool = False
    check: bool = True
