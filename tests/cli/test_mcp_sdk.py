from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_bridge_does_without_the_sdk_s_client_and_http() -> None:
    told = run(
        "import sys; from hiveminddb.cli import process; process._bridge();"
        "print([it for it in ('mcp.client', 'mcp.server.mcpserver', 'httpx2') if it in sys.modules])"
    )
    assert told == "[]"


@pytest.mark.parametrize("needed", ["mcp.server.lowlevel", "mcp.server.stdio"])
def test_where_a_part_needs_another_all_of_the_sdk_is_imported(needed: str) -> None:
    told = run(
        f"import sys; from hiveminddb.cli import mcp_sdk, process; mcp_sdk._HOLLOW += ({needed!r},);"
        "print(process._bridge().__module__, 'mcp.client' in sys.modules)"
    )
    assert told == "hiveminddb.cli.mcp True"
