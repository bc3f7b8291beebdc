"""Where the entries of a topic file begin and end. Pure: text in, text out, and every character is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

BLANK = " \t\r\n"
BOM = "\ufeff"

_HEADING = (
    r"\ufeff?##[ \t]+(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?:[ \t]+|T)(?P<clock>(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?)(?:\.(?P<fraction>[0-9]+))?(?![0-9:])"
    r"(?:[ \t]*(?P<zone>UTC\b|GMT\b|Z\b|[+-][0-9]{2}:?[0-9]{2}\b))?)?(?![A-Za-z0-9])"
)
# The heading of the agent-memory server: nobody types the seconds and the time zone.
BY_SERVER = re.compile(r"## [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC\r?\n")
_UTC = (None, "UTC", "GMT", "Z")
_FENCE = r"[ ]{0,3}(?P<fence>`{3,}(?=[^`\n]*(?:\n|\Z))|~{3,})(?P<info>[^\n]*)"
# What people put between a date and the words after it.
_TITLE = re.compile(r"# +([^\n]*)")
_AFTER_DATE = " \t-–—:,|"
_DATED = re.compile(_HEADING)
# A literal line feed first lets the regex engine skip from line to line at memchr speed.
_HEADING_LINE = re.compile(r"\n(?=\ufeff?##[ \t])" + _HEADING)
_MARK_LINE = re.compile(r"\n(?=\ufeff?##[ \t]|[ ]{0,3}[`~]{3})(?:" + _HEADING + "|" + _FENCE + ")")
_FENCE_LINE = re.compile(r"\n(?=[ ]{0,3}[`~]{3})" + _FENCE)
_OPENS_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n")
_CLOSES_FRONT = re.compile(r"\n---[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file: the head (what stands before the first dated heading) or one entry with its heading line."""

    text: str
    heading: datetime | None
    is_head: bool


def split(text: str) -> list[Span]:
    """The head, where there is one, and the entries; their texts joined are the text again, always."""
    spans: list[Span] = []
    start, heading, fence = 0, None, ""
    for at, found in _marks(text, front_matter_end(text)):
        if found["fence"]:
            fence = _next_fence(fence, found)
        elif not fence and (time := _time(found)):
            if at:
                spans.append(Span(text[start:at], heading, is_head=heading is None))
            start, heading = at, time
    return [*spans, Span(text[start:], heading, is_head=heading is None)] if text else []


def fence_after(text: str, fence: str = "") -> str:
    """The code fence still open after a text that begins with `fence` open; "" for none."""
    if "```" in text or "~~~" in text:
        for _, found in _lines_with(_FENCE_LINE, text, 0):
            fence = _next_fence(fence, found)
    return fence


def dated_lines(text: str, after: int = 0) -> list[int]:
    """Offsets of every line that looks like a dated heading, code fences or not."""
    first = [after] if heading_time(text, after) is not None and _line_start(text, after) else []
    rest = (m.start() + 1 for m in _HEADING_LINE.finditer(text, after))
    return first + [at for at in rest if heading_time(text, at) is not None]


def pieces(text: str, after: int = 0) -> list[str]:
    """The text cut before every line that looks like a dated heading, from `after` on."""
    starts = dated_lines(text, after)
    if not starts or starts[0] != 0:
        starts = [0, *starts]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True) if a < b]


def heading_time(text: str, at: int = 0) -> datetime | None:
    """When the dated heading at this offset says it was written, in UTC; None where there is no such heading."""
    found = _DATED.match(text, at)
    return _time(found) if found else None


def title(text: str) -> str:
    """What a dated heading says after its date: `## 2024-05-01 Meeting` -> `Meeting`."""
    found = _DATED.match(text)
    return text[found.end() : _line_end(text, found.end())].lstrip(_AFTER_DATE).rstrip(BLANK) if found else ""


def front_matter_end(text: str) -> int:
    """Where the front matter ends; 0 where there is none."""
    opening = _OPENS_FRONT.match(text)
    closing = _CLOSES_FRONT.search(text, opening.end() - 1) if opening else None
    return closing.end() if closing else 0


def body(text: str, is_head: bool) -> tuple[int, int]:
    """Offsets of the content: without date or front matter, and without blank lines around it.

    What a dated heading says after its date is the first line of the content.
    """
    if not is_head and (titled := _title_start(text)):
        return titled, len(text.rstrip(BLANK))
    after = _preamble(text, is_head)
    if not text[after:].strip(BLANK):
        # An empty body sits after one blank line, where there is one, so that text put there looks as usual.
        start = _line_end(text, after) if after and not text[after : _line_end(text, after)].strip(BLANK) else after
        return start, start
    start = after + len(text[after:]) - len(text[after:].lstrip(BLANK))
    start = max(after, text.rfind("\n", after, start) + 1)
    return start, len(text.rstrip(BLANK))


def trimmed(content: str) -> str:
    """Content without blank lines around it; the first line keeps its indentation."""
    content = content.rstrip(BLANK)
    return content[content.rfind("\n", 0, len(content) - len(content.lstrip(BLANK))) + 1 :]


def with_body(text: str, is_head: bool, content: str) -> str:
    """The span with other content; heading, front matter, the blanks around and the kind of line ends stay."""
    start, end = body(text, is_head)
    newline = newline_of(text)
    content = trimmed(content)
    if newline == "\r\n":
        content = re.sub(r"(?<!\r)\n", "\r\n", content)
    before, after = text[:start], text[end:]
    if not is_head and (kept := title(text)) and content.split("\n", 1)[0].rstrip() != kept:
        # The title was not kept: what comes in its place is no heading.
        before = before.rstrip(_AFTER_DATE) + newline * 2
    if start == end and content:
        before, after = _room(before, newline, is_head), after or newline * 2
    return before + content + after


def entry(at: datetime, content: str, newline: str = "\n") -> str:
    """A new entry as the agent-memory server writes it."""
    content = trimmed(content)
    if newline == "\r\n":
        content = re.sub(r"(?<!\r)\n", "\r\n", content)
    return f"## {at.astimezone(UTC).isoformat(' ', 'seconds')[:19]} UTC{newline * 2}{content}{newline * 2}"


def new_file(topic: str) -> str:
    """The head of a new topic file as the agent-memory server writes it."""
    return f"# {topic}\n\n"


def newline_of(text: str) -> str:
    """The line end of a text: CRLF only where every line has it."""
    lines = text.count("\n")
    return "\r\n" if lines and text.count("\r\n") == lines else "\n"


def head_title(head: str) -> str:
    """The title a file begins with, `# Garden` -> `Garden`; empty where there is none."""
    found = _TITLE.match(head[_preamble(head, is_head=True) :].lstrip(BLANK))
    return found[1].strip(BLANK) if found else ""


def has_prose(head: str) -> bool:
    """True if a head says more than front matter, a title line and blanks."""
    rest = head[_preamble(head, is_head=True) :].strip(BLANK)
    return bool(rest[_line_end(rest, 0) :].strip(BLANK) if rest.startswith("# ") else rest)


def fenced_parts(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of fenced code blocks, fence lines included."""
    fence, start = "", 0
    for at, found in _lines_with(_FENCE_LINE, text, 0):
        was, fence = fence, _next_fence(fence, found)
        if fence and not was:
            start = at
        elif was and not fence:
            yield start, _line_end(text, at)
    if fence:
        yield start, len(text)


def _marks(text: str, after: int) -> Iterator[tuple[int, re.Match[str]]]:
    # Substring search is far faster than any pattern, and most long texts have neither.
    return _lines_with(_MARK_LINE, text, after) if "##" in text or "```" in text or "~~~" in text else iter(())


def _lines_with(pattern: re.Pattern[str], text: str, after: int) -> Iterator[tuple[int, re.Match[str]]]:
    """Matches of a pattern that begins with a line feed, the line at `after` included."""
    if _line_start(text, after):
        # The first line has no line feed before it: match it on a copy that has one.
        line = "\n" + text[after : _line_end(text, after)]
        first = pattern.match(line)
        if first:
            yield after, first
    for found in pattern.finditer(text, after):
        yield found.start() + 1, found


def _next_fence(fence: str, found: re.Match[str]) -> str:
    mark, info = found["fence"], found["info"]
    if not fence:
        return mark
    closes = mark[0] == fence[0] and len(mark) >= len(fence) and not info.strip(BLANK)
    return "" if closes else fence


def _time(found: re.Match[str]) -> datetime | None:
    """The time a heading names; None where the calendar has no such day."""
    date, clock, fraction, zone = found.group("date", "clock", "fraction", "zone")
    try:
        at = datetime.fromisoformat(f"{date} {clock}" if clock else date)
        if fraction:
            at = at.replace(microsecond=int(fraction[:6].ljust(6, "0")))
        return at.replace(tzinfo=UTC) if zone in _UTC else at.replace(tzinfo=_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(zone: str) -> timezone:
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))


def _preamble(text: str, is_head: bool) -> int:
    if is_head:
        return front_matter_end(text) or (1 if text.startswith(BOM) else 0)
    found = _DATED.match(text)
    return _line_end(text, found.end()) if found else 0


def _title_start(text: str) -> int:
    """Where the words of a dated heading begin; 0 where it has none."""
    found = _DATED.match(text)
    if found is None:
        return 0
    line = text[found.end() : _line_end(text, found.end())]
    words = line.lstrip(_AFTER_DATE)
    return found.end() + len(line) - len(words) if words.strip(BLANK) else 0


def _room(before: str, newline: str, is_head: bool) -> str:
    """Text before a first body: it ends with a blank line, unless nothing stands before it."""
    if not before.strip(BLANK + BOM):
        return before
    if not before.endswith("\n"):
        before += newline
    return before if before.endswith(("\n\n", "\n\r\n")) or is_head else before + newline


def _line_start(text: str, at: int) -> bool:
    return at < len(text) and (at == 0 or text[at - 1] == "\n")


def _line_end(text: str, at: int) -> int:
    """Offset after the line feed of the line at `at`."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
