from __future__ import annotations

import inspect
import subprocess
import sys

import hiveminddb
from hiveminddb import AsyncHiveMind, HiveMind

NAMES = """
Added AlreadyRunning Ambiguous Arm AsyncHiveMind Check Conflict Corrupt DiskFull Draft EmbeddingStatus FeedChange
Forbidden Health Hit Hits HiveMind HiveMindError ImportFile Imported Introduction InvalidConfig InvalidInput Invite
Joined Lease Line Memory MemoryId NewerDatabase NoQuorum NotFound NotReachable OutcomeUnknown Page Pending ReadOnly
Refused Register SearchStatus Setting Status StorageError SwarmNode SwarmStatus TooLarge Topic TopicCount TopicText
Unauthorized Unavailable VaultError VaultStatus Version Written
""".split()

METHODS = """
add add_many changes close config doctor each end_invite forget forget_topic get hang_up health held history
import_files invite invited join lease leases leave lines list look metrics recover register release remove_node
rename renew resolve_vault restore restore_topic search search_many set_register status swarm topic topics update
""".split()


def public(kind: type) -> list[str]:
    return sorted(name for name in vars(kind) if not name.startswith("_"))


def test_the_package_exports_exactly_these_names() -> None:
    assert sorted(hiveminddb.__all__) == sorted(NAMES)
    for name in NAMES:
        assert getattr(hiveminddb, name) is not None


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    assert public(HiveMind) == public(AsyncHiveMind) == METHODS
    for name in METHODS:
        sync, aio = getattr(HiveMind, name), getattr(AsyncHiveMind, name)
        assert inspect.signature(sync).parameters.keys() == inspect.signature(aio).parameters.keys(), name
        assert sync.__doc__, name


def test_importing_the_package_loads_neither_http_nor_asyncio() -> None:
    code = "import sys, hiveminddb.errors; print([m for m in ('http.client', 'asyncio', 'click') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
