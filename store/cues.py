"""What a query asks for beyond its words, and what of a text an embedding should see; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hiveminddb.store.dates import Period, periods

# Function words and the words a question is built from; months, numbers, negations and verbs of content are not in it.
STOP_WORDS = frozenset(
    """a an the this that these those some any each every such own same other
    i me my mine we us our ours you your yours he him his he she her hers it its they them their theirs
    myself yourself himself herself itself ourselves themselves
    is am are was were be been being do does did doing done have has had having
    will would shall should can could may might must
    and or but if then so because as than of in on at to from by for with about into onto over under
    up down out off again further between through during before after above below against
    what which who whom whose when where why how
    there here just very too also only s t d ll re ve m don didn doesn isn aren wasn weren won wouldn couldn shouldn
    according both""".split()
)

# An entry with one of these says when something happened.
TIME_WORDS = """today yesterday tomorrow tonight ago last next since week weekend month year day night morning afternoon
    evening recently soon monday tuesday wednesday thursday friday saturday sunday
    january february april june july august september october november december""".split()

# An entry with one of these, or with digits, says how many.
NUMBER_WORDS = """two three four five six seven eight nine ten eleven twelve dozen hundred thousand couple several few
    once twice""".split()

# A query longer than this is cut: what it is about stands in its beginning.
QUERY_LENGTH = 8000
TERMS = 64
_PHRASES = 8

_WHEN = re.compile(r"\b(?:when|what (?:date|day|month|year|time)|which (?:date|day|month|year)|how long)\b", re.I)
_HOW_MANY = re.compile(r"\bhow (?:many|much|old|often|far|fast|big|large|tall)\b", re.I)
_WHICH = re.compile(
    r"\b(?:where|who|whose|whom|which|called|names?|titles?"
    r"|what (?:city|town|country|state|place|book|movie|film|show|game|song|band|brand|company|restaurant))\b",
    re.I,
)
# The blank first: it is what regular expressions look for fastest.
_NAME = re.compile(r" [A-Z]\w(?<=[a-z,] ..)")
_CHUNK = re.compile(r"[\w./:#@-]+")
_INNER = re.compile(r"[_./:#@]|[a-z][A-Z]")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)")
_QUOTED = re.compile(r"[\"“«`]([^\"”»`]{2,100})[\"”»`]")
_WORD = re.compile(r"\w+(?:['’]\w+)?")
# Scripts that are written without spaces, which the tokenizer takes for one word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


@dataclass(frozen=True, slots=True)
class Cues:
    """What was read from a query; `text` holds the words to look up, `names` those known names that were left out."""

    text: str
    names: tuple[str, ...]
    phrases: tuple[str, ...]
    periods: tuple[Period, ...]
    asks_when: bool
    asks_number: bool
    asks_name: bool


def legible(text: str) -> str:
    """The beginning of a query without what no text in the database can have."""
    return text[:QUERY_LENGTH].encode("utf-8", "replace").decode().replace("\0", " ")


def read_query(text: str, names: Collection[str], now: int | None = None) -> Cues:
    """Understands a query; `names` are known names in lower case, `now` gives "yesterday" its meaning."""
    words = [(word, _without_tail(word)) for word in _WORD.findall(text)]
    named = tuple(dict.fromkeys(bare.lower() for word, bare in words if is_name(bare, names)))
    return Cues(
        text=_keywords([bare for _, bare in words], named) or text,
        names=named,
        phrases=_phrases(text),
        periods=periods(text, now),
        asks_when=_WHEN.search(text) is not None,
        asks_number=_HOW_MANY.search(text) is not None,
        asks_name=_WHICH.search(text) is not None,
    )


def is_name(word: str, names: Collection[str]) -> bool:
    """Whether a word of a query is a known name and no common word such as "will" written small."""
    low = word.lower()
    return low in names and (low not in STOP_WORDS or word[0].isupper())


def _without_tail(word: str) -> str:
    return re.split("['’]", word, maxsplit=1)[0]


def _keywords(words: Iterable[str], names: Collection[str]) -> str:
    kept = [word for word in words if word.lower() not in STOP_WORDS or word.lower() in names]
    content = [word for word in kept if word.lower() not in names]
    return " ".join(content or kept)


def _phrases(text: str) -> tuple[str, ...]:
    chunks = (chunk.strip("./:#@-") for chunk in _CHUNK.findall(text))
    found = _QUOTED.findall(text) + [chunk for chunk in chunks if is_identifier(chunk)]
    return tuple(dict.fromkeys(found))[:_PHRASES]


def is_identifier(chunk: str) -> bool:
    """Whether what stands between blanks is a path, an error code, a version or a name in code."""
    if len(chunk) < 4 or _ORDINAL.fullmatch(chunk):
        return False
    mixed = any(c.isdigit() for c in chunk) and sum(c.isalpha() for c in chunk) > 1
    return mixed or _INNER.search(chunk) is not None


def query_text(text: str, names: Collection[str]) -> str:
    """What of a query is embedded: all but the known names (lower case), which are fields and not words of a text."""
    kept = _WORD.sub(lambda match: "" if is_name(_without_tail(match[0]), names) else match[0], text)
    kept = " ".join(kept.split())
    return kept if _WORD.search(kept) else text


def embedding_text(content: str, speaker: str | None) -> str:
    """What of a memory is embedded: without the speaker's name before it. Of the memory's own fields alone, so that
    every node embeds the same text whoever else speaks later."""
    if speaker and content[: len(speaker)].casefold() == speaker.casefold():
        rest = content[len(speaker) :].lstrip()
        if rest.startswith((":", "：")):
            return rest[1:].strip() or content
    return content


def index_text(content: str) -> str:
    """The text as the full-text index takes it: scripts without spaces as single characters and overlapping pairs."""
    return content if content.isascii() else _UNSPACED.sub(_pairs, content)


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    return " " + " ".join(f"{run[i]} {run[i : i + 2]}" for i in range(len(run) - 1)) + f" {run[-1]} "


def lookup_text(text: str) -> str:
    """The same for a query: pairs, a single character only where it stands alone."""
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda m: " " + " ".join(_inner_pairs(m[0])) + " ", text)


def _inner_pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def has_name(content: str) -> bool:
    """Whether a word inside a sentence is written large: a person, a place, a title."""
    return _NAME.search(content) is not None


def ends_in_question(content: str) -> bool:
    """Whether a text asks rather than tells; what stands in brackets after it does not count."""
    ending = content[-_ENDING:].rstrip()
    if ending.endswith("]"):
        ending = ending[: ending.rfind("[")].rstrip()
    return ending.endswith(("?", "？"))


_ENDING = 400


def name_word(name: str) -> str | None:
    """The word, in lower case, by which a query names a speaker: the first of the name, "user" and the like apart."""
    words = [_without_tail(word).lower() for word in _WORD.findall(name)]
    return words[0] if words and len(words[0]) > 1 and words[0] not in _ROLES and not words[0].isdigit() else None


# Speakers of a chat log that are no names: "what does the user prefer" asks for what was said about them.
_ROLES = frozenset("user assistant system human ai agent tool bot model me unknown".split())


def names_agent(text: str, agent: str) -> bool:
    """Whether a query names an agent by its id, as a word of its own."""
    if agent.lower() not in text.lower():
        return False
    return re.search(rf"(?<!\w){re.escape(agent)}(?!\w)", text, re.I) is not None
