"""AgentCore's agent-memory server as far as files go: the operations it does on its folder, in its order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


class AgentMemory:
    """A test double for a server that cannot be had here; every file operation is the original's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, topic: str) -> Path:
        safe = "".join(c if c.isalnum() or c in ("-", "_", " ") else "_" for c in topic)
        return self._folder / f"{safe.strip().replace(' ', '-').lower()}.md"

    def remember(self, topic: str, content: str) -> None:
        path = self.file(topic)
        exists = path.exists()
        with path.open("a", encoding="utf-8") as file:
            if not exists:
                file.write(f"# {topic}\n\n")
            file.write(f"## {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n\n")
            file.write(content.strip())
            file.write("\n\n")

    def recall(self, topic: str) -> str:
        return self.file(topic).read_text(encoding="utf-8")

    def forget(self, topic: str) -> None:
        self.file(topic).unlink()

    def list_topics(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.md"))
