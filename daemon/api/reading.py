"""Bytes and query strings into request structs, and what was wrong with them in plain words."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from hiveminddb.daemon.api.router import Endpoint
from hiveminddb.errors import InvalidInput, TooLarge

T = TypeVar("T")

MAX_PARAMETERS = 200

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(.*)`, got `(.*)`")
_LIMIT = re.compile(r"Expected `(.*)` of length (>=|<=) (\d+)")
_PLACE = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_body(endpoint: Endpoint, body: bytes, name: str) -> Any:
    """The body as the route's struct; `name` is what the caller asked for, as in "POST /memories"."""
    if not body:
        if endpoint.route.body_optional:
            return endpoint.route.body()
        raise InvalidInput(f"{name} needs a JSON body", _accepted(endpoint.route.body))
    try:
        return endpoint.decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _explained(str(error), endpoint.route.body, name) from error
    except msgspec.DecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}", _json_hint(body)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput("the body is not UTF-8", "send JSON encoded as UTF-8") from error
    except RecursionError as error:
        raise InvalidInput("the body is nested too deeply", "send flatter JSON") from error


def read_query(kind: type[T], query: bytes, name: str) -> T:
    """A query string as a struct; repeated parameters only where the struct has a list."""
    values = _pairs(query, kind) if query else {}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind, name, "parameter") from error


def _pairs(query: bytes, kind: type[Any]) -> Mapping[str, Any]:
    try:
        pairs = parse_qsl(query.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError as error:
        raise InvalidInput("the query string is not UTF-8", "percent-encode UTF-8 bytes") from error
    except ValueError as error:
        raise InvalidInput(f"the query string cannot be read: {error}") from error
    lists = {field.encode_name for field in msgspec.structs.fields(kind) if _list_item(field.type) is not None}
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise InvalidInput(f"parameter `{name}` is given more than once", "give it once")
        else:
            values[name] = value
    return values


def _json_hint(body: bytes) -> str:
    if _LONE_SURROGATE.search(body):
        return r"a lone surrogate such as \ud800 is not text; write the character itself, or the whole pair"
    return "send one JSON object, encoded as UTF-8"


def _explained(complaint: str, kind: type[Any], name: str, noun: str = "field") -> InvalidInput | TooLarge:
    place = _PLACE.search(complaint)
    where = place[1].strip(".") if place else ""
    what = complaint[: place.start()] if place else complaint
    owner = f"{where} of {name}" if where else name
    if unknown := _UNKNOWN.fullmatch(what):
        struct = _struct_at(kind, where)
        message = f"unknown {noun} `{unknown[1][:60]}` in {owner}; {_accepted(struct)}"
        return InvalidInput(message, _suggestion(unknown[1], struct))
    if missing := _MISSING.fullmatch(what):
        return InvalidInput(f"{noun} `{missing[1]}` is missing in {owner}", _accepted(_struct_at(kind, where)))
    if long := _LIMIT.fullmatch(what):
        return _out_of_bounds(where or "the body", long[1], long[2], int(long[3]))
    return InvalidInput(f"{where or 'the body'}: {_wrong_value(what, kind, where)}", f"see {name} in /openapi.json")


def _out_of_bounds(where: str, kind: str, bound: str, length: int) -> InvalidInput | TooLarge:
    if bound == ">=":
        return InvalidInput(f"{where}: must not be empty", "leave it out, or give it a value")
    unit = "items" if kind == "array" else "characters"
    return TooLarge(f"{where}: longer than {length} {unit}", "send less, or in parts")


def _wrong_value(what: str, kind: type[Any], where: str) -> str:
    if choice := _CHOICE.fullmatch(what):
        allowed = ", ".join(str(one) for one in _choices_at(kind, where))
        return f"{choice[1][:60]} is not one of {allowed}"
    if expected := _EXPECTED.fullmatch(what):
        return f"expected {expected[1].replace('`', '')}, got {expected[2]}"
    plain = what.replace("`", "")
    return plain[:1].lower() + plain[1:]


def _accepted(kind: type[Any]) -> str:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    return f"accepted: {', '.join(names)}" if names else "none is accepted"


def _suggestion(unknown: str, kind: type[Any]) -> str:
    near = difflib.get_close_matches(unknown[:60], [f.encode_name for f in msgspec.structs.fields(kind)], n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def _struct_at(kind: type[Any], where: str) -> type[Any]:
    for part in filter(None, re.sub(r"\[[^]]*\]", "", where).split(".")):
        kind = _struct_in(_type_of(kind, part)) or kind
    return kind


def _choices_at(kind: type[Any], where: str) -> tuple[object, ...]:
    owner, _, last = where.rpartition(".")
    found = _type_of(_struct_at(kind, owner), last)
    return next((typing.get_args(part) for part in _parts(found) if typing.get_origin(part) is typing.Literal), ())


def _type_of(kind: type[Any], name: str) -> Any:
    return next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == name), None)


def _struct_in(kind: Any) -> type[Any] | None:
    for part in _parts(kind):
        part = _list_item(part) or part
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _list_item(kind: Any) -> Any:
    """What a list holds, where the type is a list or may be one."""
    return next((typing.get_args(part)[0] for part in _parts(kind) if typing.get_origin(part) is list), None)


def _parts(kind: Any) -> tuple[Any, ...]:
    """The members of a union, annotations taken off."""
    if typing.get_origin(kind) is typing.Annotated:
        return _parts(typing.get_args(kind)[0])
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return tuple(part for member in typing.get_args(kind) for part in _parts(member))
    return (kind,)
