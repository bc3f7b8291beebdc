"""Durable state: one SQLite file with the change log and everything made from it."""

from hiveminddb.store.changes import LoggedChange
from hiveminddb.store.check import Finding
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.filters import Filters
from hiveminddb.store.history import PastEntry, VersionRow
from hiveminddb.store.listing import Page, TopicRow
from hiveminddb.store.outbox import Mark
from hiveminddb.store.rows import MemoryRow, text_hash, to_memory
from hiveminddb.store.transaction import Placement, Skipped, Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile

__all__ = [
    "Database",
    "Filters",
    "Finding",
    "LoggedChange",
    "Mark",
    "MemoryRow",
    "Page",
    "PastEntry",
    "Placement",
    "Run",
    "Skipped",
    "TopicRow",
    "Transaction",
    "VaultBase",
    "VaultFile",
    "VersionRow",
    "text_hash",
    "to_memory",
]
