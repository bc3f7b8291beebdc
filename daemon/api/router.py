"""Which route a method and a path lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hiveminddb.daemon.api.http import Route
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

    def match(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        """The endpoint and the path's variable parts; NotFound or WrongMethod."""
        method = "GET" if method == "HEAD" else method
        possible: set[str] = set()
        for methods, variables in self._candidates(path):
            if method in methods:
                return methods[method], variables
            possible.update(methods)
        raise WrongMethod(method, path, _with_implied(possible)) if possible else _unknown(path)

    def methods(self, path: str) -> tuple[str, ...]:
        """What a path can be asked with; NotFound where it is none."""
        possible = {method for methods, _ in self._candidates(path) for method in methods}
        if not possible:
            raise _unknown(path)
        return _with_implied(possible)

    def _candidates(self, path: str) -> Iterator[tuple[Mapping[str, Endpoint], Mapping[str, str]]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            yield fixed, {}
        for pattern in self._patterns.values():
            found = pattern.path.fullmatch(path)
            if found is not None:
                yield pattern.methods, found.groupdict()


def _unknown(path: str) -> HiveMindError:
    return NotFound(f"no such path: {path[:200]}", "GET /openapi.json lists every path")


def _with_implied(methods: set[str]) -> tuple[str, ...]:
    return tuple(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def _compiled(path: str) -> re.Pattern[str]:
    parts = []
    end = 0
    for variable in _VARIABLE.finditer(path):
        parts.append(re.escape(path[end : variable.start()]))
        parts.append(f"(?P<{variable[1]}>{'.+' if variable[2] else '[^/]+'})")
        end = variable.end()
    return re.compile("".join(parts) + re.escape(path[end:]), re.DOTALL)
