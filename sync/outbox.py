"""What waits to leave on one link, by channel. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hiveminddb.sync.frames import Channel

# A channel has room for another payload as long as it holds less than this; so it holds at most this and one payload.
CHANNEL_BYTES = 2 << 20


class Outbox:
    """Frames in order within a channel, the most urgent channel first; bounded in each."""

    __slots__ = ("_frames", "_sizes", "_total")

    def __init__(self) -> None:
        self._frames: tuple[deque[bytes], ...] = tuple(deque() for _ in Channel)
        self._sizes = [0 for _ in Channel]
        self._total = 0

    def __bool__(self) -> bool:
        return self._total > 0

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._total

    def has_room(self, channel: Channel) -> bool:
        """Whether another payload may be put."""
        return self._sizes[channel] < CHANNEL_BYTES

    def put(self, channel: Channel, frames: Sequence[bytes]) -> None:
        """One payload, which waits until it is taken frame by frame."""
        self._frames[channel].extend(frames)
        self._count(channel, sum(map(len, frames)))

    def take(self) -> bytes | None:
        """The next frame to leave; None when nothing waits."""
        for channel, frames in enumerate(self._frames):
            if frames:
                frame = frames.popleft()
                self._count(channel, -len(frame))
                return frame
        return None

    def _count(self, channel: int, change: int) -> None:
        self._sizes[channel] += change
        self._total += change
