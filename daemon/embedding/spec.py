"""HIVEMIND_EMBEDDING_MODEL: what it may say, and the embedder it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from hiveminddb.daemon.embedding.embedder import Embedder, NoEmbedder
from hiveminddb.daemon.embedding.local import LocalEmbedder
from hiveminddb.errors import InvalidConfig

VARIABLE = "HIVEMIND_EMBEDDING_MODEL"
FORMS = "local:<path.gguf>, openai:<model>, ollama:<model>, http(s)://host/v1#<model> or none"

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_HOST = "127.0.0.1"
OLLAMA_PORT = 11434


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A GGUF file, run by llama.cpp in a child process."""

    path: Path


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model behind HTTP, spoken to in the words of OpenAI's or of Ollama's API."""

    name: str
    api: Literal["openai", "ollama"]
    url: str
    model: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NoModel:
    """No vectors."""


EmbeddingSpec = LocalModel | RemoteModel | NoModel


def shipped_model() -> LocalModel:
    """The model inside the package."""
    return LocalModel(Path(str(files("hiveminddb.daemon") / "all-MiniLM-L6-v2.Q8_0.gguf")))


def parse(value: str | None, environment: Mapping[str, str]) -> EmbeddingSpec:
    """The model a setting names (None or empty: the shipped one); InvalidConfig names the value and the forms."""
    value = (value or "").strip()
    if not value:
        return shipped_model()
    if value == "none":
        return NoModel()
    scheme, _, rest = value.partition(":")
    match scheme:
        case "local" if rest.endswith(".gguf"):
            return LocalModel(Path(rest).expanduser().absolute())
        case "openai" if rest:
            return _openai(value, rest, environment)
        case "ollama" if rest:
            return RemoteModel(value, "ollama", _ollama_url(environment), rest)
        case "http" | "https":
            return _endpoint(value, environment)
    raise InvalidConfig(f"{VARIABLE} is {value!r}, which names no model", f"it takes {FORMS}")


def named(spec: EmbeddingSpec) -> str:
    """The setting that `parse` makes this spec of; empty for the shipped model, wherever it is installed."""
    match spec:
        case NoModel():
            return "none"
        case LocalModel(path=path):
            return "" if spec == shipped_model() else f"local:{path}"
        case RemoteModel(name=name):
            return name


def open_embedder(spec: EmbeddingSpec) -> Embedder:
    """The embedder of a spec, not entered yet."""
    match spec:
        case LocalModel(path=path):
            return LocalEmbedder(path)
        case RemoteModel(name=name, api=api, url=url, model=model, key=key):
            # An HTTP client takes 10 MB, and most need none.
            from hiveminddb.daemon.embedding.remote import RemoteEmbedder

            return RemoteEmbedder(name=name, api=api, url=url, model=model, key=key)
        case NoModel():
            return NoEmbedder()


def _openai(value: str, model: str, environment: Mapping[str, str]) -> RemoteModel:
    key = environment.get("HIVEMIND_EMBEDDING_API_KEY") or environment.get("OPENAI_API_KEY", "")
    if not key:
        raise InvalidConfig(f"{VARIABLE} is {value!r} and there is no key for it", "set OPENAI_API_KEY")
    return RemoteModel(value, "openai", OPENAI_URL, model, key)


def _endpoint(value: str, environment: Mapping[str, str]) -> RemoteModel:
    parts = _split(VARIABLE, value)
    if not parts.fragment:
        raise InvalidConfig(
            f"{VARIABLE} is {value!r} and names no model", "add it behind a #: http(s)://host/v1#<model>"
        )
    url = parts._replace(fragment="").geturl().rstrip("/")
    return RemoteModel(value, "openai", url, parts.fragment, environment.get("HIVEMIND_EMBEDDING_API_KEY", ""))


def _ollama_url(environment: Mapping[str, str]) -> str:
    host = environment.get("OLLAMA_HOST", "").strip() or OLLAMA_HOST
    parts = _split("OLLAMA_HOST", host if "://" in host else f"http://{host}")
    name = OLLAMA_HOST if parts.hostname == "0.0.0.0" else str(parts.hostname)
    port = parts.port or (OLLAMA_PORT if parts.scheme == "http" else 443)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path.rstrip('/')}"


def _split(variable: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise InvalidConfig(f"{variable} is {value!r}, which is no address", f"{VARIABLE} takes {FORMS}") from None
    if parts.username or parts.password:
        hint = "put the key in HIVEMIND_EMBEDDING_API_KEY"
        raise InvalidConfig(f"{variable} has a name or password in its address ({parts.hostname})", hint)
    if not sound or parts.scheme not in ("http", "https"):
        raise InvalidConfig(f"{variable} is {value!r}, which is no address", f"{VARIABLE} takes {FORMS}")
    return parts
