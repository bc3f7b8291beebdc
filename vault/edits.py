"""Edits of a memory's content that say what they expect to find. Pure."""

from __future__ import annotations

import re

from hiveminddb.errors import Conflict, InvalidInput
from hiveminddb.vault import markdown
from hiveminddb.vault.marks import without_code

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+([^\n]*)$", re.M)
_CLOSING_SIGNS = re.compile(r"[ \t]+#+[ \t\r]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]")


def append(content: str, addition: str) -> str:
    """Content with more at its end: a list goes on, anything else is a new paragraph."""
    content, addition = content.rstrip(markdown.BLANK), markdown.trimmed(addition)
    if not content or not addition:
        return content or addition
    newline = markdown.newline_of(content)
    goes_on = _ITEM.match(content[content.rfind("\n") + 1 :]) and _ITEM.match(addition)
    return content + (newline if goes_on else newline * 2) + addition


def replace_once(content: str, old: str, new: str) -> str:
    """Content with `old` replaced; Conflict unless it is there exactly once."""
    if not old:
        raise InvalidInput("nothing to replace: the old text is empty", "name the text to replace")
    if old not in content and "\r\n" in content:
        old, new = (re.sub(r"(?<!\r)\n", "\r\n", text) for text in (old, new))
    at = content.find(old)
    if at < 0:
        raise Conflict(f"text not found: {_short(old)}", "read the memory again; it must match character for character")
    if content.find(old, at + 1) >= 0:
        raise Conflict(f"text found {_count(content, old)} times: {_short(old)}", "give more of the text around it")
    return content[:at] + new + content[at + len(old) :]


def replace_section(content: str, heading: str, new: str) -> str:
    """Content with other text under a heading, up to the next of its level or above; Conflict unless there is one."""
    found = [(m.end(), len(m[1])) for m in _headings(content) if _fits(m, heading)]
    if len(found) != 1:
        times = "not found" if not found else f"found {len(found)} times"
        raise Conflict(f"heading {times}: {_short(heading)}", "read the memory again for its headings")
    start, level = found[0]
    end = next((m.start() for m in _headings(content) if m.start() >= start and len(m[1]) <= level), len(content))
    newline = markdown.newline_of(content)
    new = markdown.trimmed(new)
    kept = content[:start].rstrip("\r")
    return kept + newline * 2 + new + (newline * 2 + content[end:] if end < len(content) else "")


def _headings(content: str) -> list[re.Match[str]]:
    return list(_HEADING.finditer(without_code(content)))


def _fits(found: re.Match[str], heading: str) -> bool:
    """A wanted heading with its signs must have the same level; without them any level fits."""
    signs, _, name = heading.strip().partition(" ") if heading.lstrip().startswith("#") else ("", "", heading)
    text = _CLOSING_SIGNS.sub("", found[2]).strip(markdown.BLANK)
    return text.casefold() == name.strip().casefold() and signs in ("", found[1])


def _count(content: str, old: str) -> int:
    return sum(content.startswith(old, at) for at in range(len(content)))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
