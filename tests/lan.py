"""A LAN for a test, or the reason why it is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.netns import Network, Unavailable


@contextmanager
def lan(hosts: int) -> Iterator[Network]:
    """A network of its own; skips the test where namespaces are not permitted."""
    try:
        with Network(hosts) as network:
            yield network
    except Unavailable as reason:
        pytest.skip(str(reason))
