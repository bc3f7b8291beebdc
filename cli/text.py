"""Text for a terminal: its width in cells, cut or wrapped to fit, and never able to steer the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_EMOJI_STYLE = "\ufe0f"


def visible(text: str) -> str:
    """The text with controls, direction overrides and lone surrogates shown as signs; newlines stay."""
    text = text.replace("\r\n", "\n")
    return text if text.isprintable() else "".join(map(_sign, text))


def _sign(char: str) -> str:
    code = ord(char)
    if char == "\n":
        return char
    if char == "\t":
        return "    "
    if code < 0x20:
        return chr(0x2400 + code)
    if 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or char in _BIDI or char in "\u2028\u2029":
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return char


def one_line(text: str) -> str:
    """The text's words on one line, made visible."""
    return visible(" ".join(text.split()))


def width(text: str) -> int:
    """How many terminal cells a text takes."""
    return len(text) if text.isascii() else sum(cells for _, cells in _cells(text))


def _cells(text: str) -> Iterator[tuple[str, int]]:
    before = 0
    for char in text:
        if char == _EMOJI_STYLE:
            cells = 1 if before == 1 else 0
        elif unicodedata.category(char) in ("Mn", "Me", "Cf"):
            cells = 0
        else:
            cells = 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
        before = cells
        yield char, cells


def cut(text: str, limit: int) -> str:
    """The text within a number of cells, ending in "…" where something was left out."""
    if width(text) <= limit:
        return text
    kept, used = [], 0
    for char, cells in _cells(text):
        if used + cells > limit - 1:
            break
        kept.append(char)
        used += cells
    return "".join(kept) + "…" if limit > 0 else ""


def pad(text: str, cells: int) -> str:
    """The text followed by spaces up to a number of cells."""
    return text + " " * (cells - width(text))


def wrap(text: str, limit: int) -> list[str]:
    """The text's lines broken at spaces to fit a number of cells; a word too long for a line is broken anywhere."""
    return [piece for line in text.split("\n") for piece in _wrap_line(line, max(limit, 1))]


def _wrap_line(line: str, limit: int) -> list[str]:
    if width(line) <= limit:
        return [line]
    pieces, current = [], ""
    for word in line.split(" "):
        joined = f"{current} {word}" if current else word
        if width(joined) <= limit:
            current = joined
            continue
        if current:
            pieces.append(current)
        *full, current = _chop(word, limit)
        pieces.extend(full)
    return [*pieces, current]


def _chop(word: str, limit: int) -> list[str]:
    pieces, used = [""], 0
    for char, cells in _cells(word):
        if used + cells > limit and pieces[-1]:
            pieces.append("")
            used = 0
        pieces[-1] += char
        used += cells
    return pieces
