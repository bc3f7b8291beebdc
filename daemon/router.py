"""Which route a method and a path lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hiveminddb.daemon.http import Route
from hiveminddb.errors import HiveMindError, MethodNotAllowed, NotFound

_VARIABLE = re.compile(r"\{(\w+)(:path)?\}")


class WrongMethod(MethodNotAllowed):
    """The path exists, with other methods."""

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not possible on {path}", f"possible: {', '.join(allowed)}")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route with its body decoder made once."""

    route: Route[Any, Any]
    decoder: msgspec.json.Decoder[Any]


@dataclass(frozen=True, slots=True)
class _Pattern:
    path: re.Pattern[str]
    methods: dict[str, Endpoint] = field(default_factory=dict)


class Router:
    """Fixed paths are looked up, variable ones tried in the order of the routes."""

    def __init__(self, routes: Iterable[Route[Any, Any]]) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[str, _Pattern] = {}
        for route in routes:
            endpoint = Endpoint(route, msgspec.json.Decoder(route.body))
            if "{" in route.path:
                pattern = self._patterns.setdefault(route.path, _Pattern(_compiled(route.path)))
                pattern.methods[route.method] = endpoint
            else:
                self._fixed.setdefault(route.path, {})[route.method] = endpoint

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods a path can be asked with; NotFound where it is none."""
        try:
            self.match("OPTIONS", path)
        except WrongMethod as error:
            return error.allowed
        raise AssertionError("no route answers OPTIONS")

    def match(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        """The endpoint and the path's variable parts; NotFound or WrongMethod."""
        method = "GET" if method == "HEAD" else method
        fixed = self._fixed.get(path)
        if fixed is not None:
            if method in fixed:
                return fixed[method], {}
            raise WrongMethod(method, path, _allowed(fixed))
        return self._match_pattern(method, path)

    def _match_pattern(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        others: set[str] = set()
        for pattern in self._patterns.values():
            found = pattern.path.fullmatch(path)
            if found is None:
                continue
            if method in pattern.methods:
                return pattern.methods[method], found.groupdict()
            others.update(pattern.methods)
        if others:
            raise WrongMethod(method, path, _allowed(others))
        raise _unknown(path)


def _unknown(path: str) -> HiveMindError:
    return NotFound(f"no such path: {path[:200]}", "GET /openapi.json lists every path")


def _allowed(methods: Iterable[str]) -> tuple[str, ...]:
    given = set(methods)
    return tuple(sorted(given | {"OPTIONS"} | ({"HEAD"} if "GET" in given else set())))


def _compiled(path: str) -> re.Pattern[str]:
    parts = []
    end = 0
    for variable in _VARIABLE.finditer(path):
        parts.append(re.escape(path[end : variable.start()]))
        parts.append(f"(?P<{variable[1]}>{'.+' if variable[2] else '[^/]+'})")
        end = variable.end()
    return re.compile("".join(parts) + re.escape(path[end:]), re.DOTALL)
