"""What a model sends as arguments -> what a tool takes; other names and forms are forgiven."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hiveminddb.cli.mcp_tools import Parameter, ToolSpec
from hiveminddb.errors import InvalidInput

# A passage or a section sent as an object instead of side by side.
_NESTED = ("replace", "section")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call by their own names; what was not given is absent."""

    texts: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        return self.texts.get(name)

    def need(self, name: str) -> str:
        """A required text; `parse` has seen to it that it is there."""
        return self.texts[name]


def parse(tool: ToolSpec, sent: Mapping[str, Any] | None) -> Arguments:
    """The arguments of a call; InvalidInput names what is wrong and what is accepted."""
    given = _by_own_name(tool, _flat(dict(sent or {})))
    missing = [one.name for one in tool.parameters[: tool.required] if one.name not in given]
    if missing:
        raise InvalidInput(f"{tool.name} needs {_names(missing)}", _accepted(tool))
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for parameter in tool.parameters:
        if parameter.name not in given:
            continue
        value = given[parameter.name]
        if parameter.kind == "integer":
            numbers[parameter.name] = _integer(parameter, value)
        elif parameter.kind == "array":
            lists[parameter.name] = _list(parameter, value)
        else:
            texts[parameter.name] = _text(parameter, value)
    return Arguments(texts, numbers, lists)


def _flat(sent: dict[str, Any]) -> dict[str, Any]:
    for name in _NESTED:
        if isinstance(sent.get(name), Mapping):
            sent.update(sent.pop(name))
    return {name: value for name, value in sent.items() if value is not None}


def _by_own_name(tool: ToolSpec, sent: Mapping[str, Any]) -> dict[str, Any]:
    own = {one.name: sent[one.name] for one in tool.parameters if one.name in sent}
    unknown = [name for name in sent if name not in own]
    for parameter in tool.parameters:
        for alias in parameter.aliases:
            if parameter.name not in own and alias in unknown:
                own[parameter.name] = sent[alias]
                unknown.remove(alias)
    if unknown:
        raise InvalidInput(f"{tool.name} does not take {_names(unknown)}", _accepted(tool))
    return own


def _accepted(tool: ToolSpec) -> str:
    names = [one.name + ("" if place < tool.required else "?") for place, one in enumerate(tool.parameters)]
    return f"call {tool.name}({', '.join(names)})"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(parameter: Parameter, value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"`{parameter.name}` must be text, not {_shown(value)}", "send a string")
    else:
        text = str(value)
    if parameter.choices and text not in parameter.choices:
        raise InvalidInput(f"`{parameter.name}` is {_shown(text)}", f"send one of {', '.join(parameter.choices)}")
    return text


def _integer(parameter: Parameter, value: Any) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(float(value)):
            raise ValueError
        return int(float(value))
    except (TypeError, ValueError, OverflowError) as cause:
        raise InvalidInput(f"`{parameter.name}` must be a number, not {_shown(value)}", "send an integer") from cause


def _list(parameter: Parameter, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _from_string(value)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidInput(f"`{parameter.name}` must be a list of texts, not {_shown(value)}", 'send ["a", "b"]')
    return tuple(one.strip().removeprefix("#") for one in value if one.strip())


def _from_string(value: str) -> Any:
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value.split(",")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:60] + "…"
