"""The MCP SDK without what a server on stdio never uses: its client, its framework, its HTTP."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

# What these import in the end is a third of the time until the first answer, and 12 MB.
_HOLLOW = ("mcp", "mcp.server")


def hollow() -> None:
    """From now on only those parts of the SDK are imported that are asked for by their full names."""
    for name in _HOLLOW:
        if name not in sys.modules and (spec := find_spec(name)):
            sys.modules[name] = module_from_spec(spec)


def whole() -> None:
    """All of it is imported again, where a part could not do without another."""
    for name in [*sys.modules]:
        if name.split(".")[0] == "mcp":
            del sys.modules[name]
