"""Who is refused at the door: one line a minute, however many there are."""

from __future__ import annotations

import logging
import time

from hiveminddb.sync.address import Address

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0


class Strangers:
    """Counts who was refused, and says so at most once a minute."""

    def __init__(self) -> None:
        self._count = 0
        self._said = -QUIET_SECONDS

    def refused(self, remote: Address, reason: str) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._said >= QUIET_SECONDS:
            log.warning("refused count=%d last=%s reason=%s", self._count, remote.host, reason)
            self._count, self._said = 0, now
