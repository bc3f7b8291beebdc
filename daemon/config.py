"""Settings: flags over environment over config.toml over defaults, each value with its source."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiveminddb.daemon.embedding import spec as embedding_spec
from hiveminddb.daemon.embedding.spec import EmbeddingSpec, LocalModel, NoModel
from hiveminddb.errors import InvalidConfig

CONFIG_FILE = "config.toml"
DEFAULT = "default"
LOG_LEVELS = ("debug", "info", "warning", "error")

# A key that lets machines in unattended is no word that one guesses in a few tries.
SHORTEST_KEY = 12
LONGEST_NAME = 60


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
    peers: tuple[Address, ...]
    swarm_key: str
    name: str
    embedding_model: EmbeddingSpec
    llm_provider: str
    llm_model: str
    llm_api_key: str
    log_level: str
    settings: tuple[Setting, ...]

    def chosen(self, name: str) -> bool:
        """Whether somebody gave the setting a value; where nobody did, the daemon may do otherwise."""
        return any(setting.name == name and setting.source != DEFAULT for setting in self.settings)


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
        _Option("peers", "", _addresses, ("HIVEMIND_PEERS",), _addresses_shown),
        _Option("swarm_key", "", _swarm_key, ("HIVEMIND_SWARM_KEY",), _secret_shown),
        _Option("name", _host_name(), _name, ("HIVEMIND_NAME",)),
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
    return file.get(option.name) or _Given(option.default, DEFAULT)


def _parsed(option: _Option, given: _Given) -> Any:
    try:
        return option.parse(given.value)
    except ValueError as error:
        value = "not shown" if option.show is _secret_shown else repr(given.value)
        message = f"{option.name} is {value}, from {given.source}: not understood"
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
    for name in values:
        if name not in known:
            raise InvalidConfig(f"unknown setting `{name}` in {path}", f"known there: {', '.join(sorted(known))}")
    return {name: _Given(_text(name, value, path), str(path)) for name, value in values.items()}


def _text(name: str, value: Any, path: Path) -> str:
    if name == "peers" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    if not isinstance(value, str):
        raise InvalidConfig(f"{name} in {path} is {value!r}, not text", f'write it as {name} = "…"')
    return value


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


def _addresses(text: str) -> tuple[Address, ...]:
    addresses = tuple(dict.fromkeys(_address(part) for part in text.replace(",", " ").split()))
    if any(address.port == 0 for address in addresses):
        raise ValueError("host:port of each peer, such as desk.local:8101; port 0 is nobody's")
    return addresses


def _addresses_shown(addresses: tuple[Address, ...]) -> str:
    return ", ".join(map(str, addresses))


def _swarm_key(text: str) -> str:
    if text and len(text) < SHORTEST_KEY:
        raise ValueError(f"{SHORTEST_KEY} characters or more, the same on all machines, such as: openssl rand -hex 16")
    return text


def _name(text: str) -> str:
    name = text.strip()
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise ValueError(f"1 to {LONGEST_NAME} characters that can be printed, such as desk")
    return name


def _host_name() -> str:
    """What the machine calls itself, as far as it will do for a name."""
    name = socket.gethostname().partition(".")[0]
    return "".join(char for char in name if char.isprintable()).strip()[:LONGEST_NAME] or "node"


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
