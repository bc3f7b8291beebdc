"""What people mark in their markdown: front matter, tags, wikilinks, relations and observations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TypeAlias, TypeVar

import yaml

from hiveminddb.vault import markdown

T = TypeVar("T")

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

# Front matter is a handful of lines; anything longer is text between two rules, or an attack on the parser.
MAX_FRONT_MATTER = 64 * 1024

# Every repeat that could retry is bounded: a hostile line must not cost quadratic time.
_TAG = re.compile(r"(?<![^\s(,;])#([\w/-]*[^\W\d_][\w/-]*)")
_LINK = re.compile(r"\[\[([^\[\]\n|#]+)(?:#[^\[\]\n|]*)?(?:\|[^\[\]\n]*)?\]\]")
_RELATION = re.compile(r"^[ \t]*[-*+][ \t]{1,9}(?=\S)([^\[\]\n]{1,200}?)[ \t]{1,9}" + _LINK.pattern, re.M)
_OBSERVATION = re.compile(r"^[ \t]*[-*+][ \t]{1,9}\[(?![ xX/-]\])([^\[\]\n()]{1,100})\](?![(\[])[ \t]+(\S[^\n]*)", re.M)
_CODE = re.compile(r"(?<!`)(`{1,9})(?!`)[^\n]{1,1000}?(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The values at the top of a file; `error` says why they could not be read."""

    values: Mapping[str, Value] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A line `- relation [[Target]]`."""

    relation: str
    target: str


@dataclass(frozen=True, slots=True)
class Observation:
    """A line `- [category] text`."""

    category: str
    text: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What a text marks outside code, each once, in order of appearance."""

    tags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    observations: tuple[Observation, ...] = ()


_NO_MARKS = Marks()


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases: nested aliases expand without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def front_matter(text: str) -> FrontMatter:
    """The YAML mapping at the very start of a file; never raises, the file is the person's."""
    end = markdown.front_matter_end(text)
    if end > MAX_FRONT_MATTER:
        return FrontMatter(error=f"front matter of {end} characters, the limit is {MAX_FRONT_MATTER}")
    source = text[text.find("\n") + 1 : text.rfind("\n---", 0, end) + 1] if end else ""
    try:
        loaded = yaml.load(source, _Loader)
        values = _plain(loaded)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, AttributeError, RecursionError) as error:
        return FrontMatter(error=f"front matter is not YAML: {error}")
    if values is None:
        return FrontMatter()
    if not isinstance(values, dict):
        return FrontMatter(error="front matter is not a list of `name: value` lines")
    return FrontMatter(values)


def marks(text: str) -> Marks:
    """Tags, links, relations and observations; what stands in code or front matter does not count."""
    if "#" not in text and "[" not in text:
        return _NO_MARKS
    prose = without_code(text[markdown.front_matter_end(text) :])
    relations = (Relation(m[1].strip(), m[2].strip()) for m in _RELATION.finditer(prose))
    observations = (Observation(m[1].strip(), m[2].strip()) for m in _OBSERVATION.finditer(prose))
    return Marks(
        tags=_once(m.strip("/-") for m in _TAG.findall(prose)),
        links=_once(m.strip() for m in _LINK.findall(prose) if m.strip()),
        relations=_once(r for r in relations if r.target and r.relation),
        observations=_once(observations),
    )


def without_code(text: str) -> str:
    """The text with code blanked out: same length, same lines."""
    parts, last = [], 0
    for start, end in markdown.fenced_parts(text):
        parts += [text[last:start], re.sub(r"[^\n]", " ", text[start:end])]
        last = end
    return _CODE.sub(lambda m: " " * len(m[0]), "".join([*parts, text[last:]]))


def _once(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))


def _plain(value: object) -> Value:
    """YAML values as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)
