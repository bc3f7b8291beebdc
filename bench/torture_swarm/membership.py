"""When which machine was not part of the swarm: what it decided then, it decided for itself alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Membership:
    """Times are of time.monotonic; a machine is apart from the moment somebody begins to put it out."""

    spans: list[tuple[str, float, float]] = field(default_factory=list)
    since: dict[str, float] = field(default_factory=dict)

    def goes(self, name: str) -> None:
        """Somebody begins to put it out; it may be out already."""
        self.since.setdefault(name, time.monotonic())

    def is_back(self, name: str) -> None:
        """It has joined again, or was never put out."""
        since = self.since.pop(name, None)
        if since is not None:
            self.spans.append((name, since, time.monotonic()))

    def apart(self, name: str, begin: float, end: float) -> bool:
        """Whether it was apart at any time from begin to end."""
        spans = [*self.spans, *((each, since, float("inf")) for each, since in list(self.since.items()))]
        return any(each == name and since <= end and begin <= until for each, since, until in spans)
