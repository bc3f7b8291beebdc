"""Settings: flags over environment over config.toml over defaults, each value with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiveminddb.daemon import embedding_spec
from hiveminddb.daemon.embedding_spec import EmbeddingSpec, LocalModel, NoModel
from hiveminddb.errors import InvalidConfig

CONFIG_FILE = "config.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where a program on this machine reaches it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return f"http://{Address(everywhere.get(self.host, self.host), self.port)}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it may be shown: where its value came from, secrets hidden."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Config:
    """What the daemon was told; `settings` is the same for people to read."""

    data_dir: Path
    vault: Path
    listen_addr: Address
    peer_addr: Address
    embedding_model: EmbeddingSpec
    llm_provider: str
    llm_model: str
    llm_api_key: str
    log_level: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    default: str
    parse: Callable[[str], Any]
    environment: tuple[str, ...]
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class _Given:
    value: str
    source: str


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Config:
    """The settings of this start; InvalidConfig names the setting, its value and where it came from."""
    options = _options(environment)
    data_dir = _parsed(options[0], _given(options[0], flags, environment, {}))
    file = _read_file(data_dir / CONFIG_FILE, options)
    values: dict[str, Any] = {}
    settings: list[Setting] = []
    for option in options:
        given = _given(option, flags, environment, file)
        value = values[option.name] = _parsed(option, given)
        settings.append(Setting(option.name, option.show(value), given.source))
    return Config(**values, settings=tuple(settings))


def _options(environment: Mapping[str, str]) -> tuple[_Option, ...]:
    data_home = environment.get("XDG_DATA_HOME") or "~/.local/share"

    def model(text: str) -> EmbeddingSpec:
        return embedding_spec.parse(text, environment)

    return (
        _Option("data_dir", f"{data_home}/hiveminddb", _path, ("HIVEMIND_DATA_DIR",)),
        _Option("vault", "~/HiveMind", _path, ("HIVEMIND_VAULT", "AGENT_MEMORY_DIR")),
        _Option("listen_addr", "127.0.0.1:8100", _address, ("HIVEMIND_LISTEN_ADDR",)),
        _Option("peer_addr", "0.0.0.0:8101", _address, ("HIVEMIND_PEER_ADDR",)),
        _Option("embedding_model", "", model, (embedding_spec.VARIABLE,), _model_shown),
        _Option("llm_provider", "", str, ("HIVEMIND_LLM_PROVIDER",)),
        _Option("llm_model", "", str, ("HIVEMIND_LLM_MODEL",)),
        _Option("llm_api_key", "", str, ("HIVEMIND_LLM_API_KEY",), _secret_shown),
        _Option("log_level", "info", _level, ("HIVEMIND_LOG_LEVEL",)),
    )


def _given(
    option: _Option, flags: Mapping[str, str | None], environment: Mapping[str, str], file: Mapping[str, _Given]
) -> _Given:
    flag = flags.get(option.name)
    if flag is not None:
        return _Given(flag, "flag")
    for name in option.environment:
        if environment.get(name):
            return _Given(environment[name], name)
    return file.get(option.name) or _Given(option.default, "default")


def _parsed(option: _Option, given: _Given) -> Any:
    try:
        return option.parse(given.value)
    except ValueError as error:
        message = f"{option.name} is {given.value!r}, from {given.source}: not understood"
        raise InvalidConfig(message, f"give {error}") from error
    except InvalidConfig as error:
        raise InvalidConfig(f"{error.message} (setting {option.name}, from {given.source})", error.hint) from error


def _read_file(path: Path, options: tuple[_Option, ...]) -> dict[str, _Given]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"cannot read {path}: {error}", "mend the file or move it away") from error
    # The file is found by the data folder, so it cannot name another.
    known = {option.name for option in options} - {"data_dir"}
    for name, value in values.items():
        if name not in known:
            raise InvalidConfig(f"unknown setting `{name}` in {path}", f"known there: {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise InvalidConfig(f"{name} in {path} is {value!r}, not text", f'write it as {name} = "…"')
    return {name: _Given(value, str(path)) for name, value in values.items()}


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("the path of a folder")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("a path without ~: the home folder is not known") from error


def _address(text: str) -> Address:
    host, colon, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("host:port, such as 127.0.0.1:8100 or [::1]:8100")
    return Address(host, int(port))


def _level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _model_shown(spec: EmbeddingSpec) -> str:
    match spec:
        case NoModel():
            return "none"
        case LocalModel(path=path):
            return f"local:{path}"
        case remote:
            return remote.name


def _secret_shown(secret: str) -> str:
    return "(hidden)" if secret else ""
