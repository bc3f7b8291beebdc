from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hiveminddb.daemon.config import Address, Config, load
from hiveminddb.daemon.embedding.spec import NoModel, shipped_model
from hiveminddb.errors import InvalidConfig


def sources(config: Config) -> dict[str, str]:
    return {setting.name: setting.source for setting in config.settings}


def shown(config: Config) -> dict[str, str]:
    return {setting.name: setting.value for setting in config.settings}


def test_nothing_given_is_the_defaults(tmp_path: Path) -> None:
    config = load({}, {"XDG_DATA_HOME": str(tmp_path)})
    assert config.data_dir == tmp_path / "hiveminddb"
    assert config.vault == Path("~/HiveMind").expanduser()
    assert str(config.listen_addr) == "127.0.0.1:8100"
    assert str(config.peer_addr) == "0.0.0.0:8101"
    assert config.embedding_model == shipped_model()
    assert config.log_level == "info"
    assert set(sources(config).values()) == {"default"}


def test_flags_go_before_the_environment_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('listen_addr = "[::1]:1"\nlog_level = "debug"\nvault = "/file"\nembedding_model = "none"\n')
    environment = {"HIVEMIND_DATA_DIR": str(tmp_path), "HIVEMIND_LISTEN_ADDR": "127.0.0.1:2", "HIVEMIND_VAULT": "/env"}
    config = load({"listen_addr": "127.0.0.1:3", "log_level": None}, environment)
    assert config.listen_addr == Address("127.0.0.1", 3)
    assert config.vault == Path("/env")
    assert config.log_level == "debug"
    assert config.embedding_model == NoModel()
    told = sources(config)
    assert told["listen_addr"] == "flag"
    assert told["vault"] == "HIVEMIND_VAULT"
    assert told["log_level"] == told["embedding_model"] == str(file)
    assert told["peer_addr"] == "default"


def test_the_vault_of_agent_memory_is_taken_where_none_is_named(tmp_path: Path) -> None:
    environment = {"HIVEMIND_DATA_DIR": str(tmp_path), "AGENT_MEMORY_DIR": "/notes", "HIVEMIND_VAULT": ""}
    config = load({}, environment)
    assert (config.vault, sources(config)["vault"]) == (Path("/notes"), "AGENT_MEMORY_DIR")
    assert load({}, {**environment, "HIVEMIND_VAULT": "/own"}).vault == Path("/own")


def test_secrets_are_hidden(tmp_path: Path) -> None:
    config = load({"data_dir": str(tmp_path)}, {"HIVEMIND_LLM_API_KEY": "sk-1"})
    assert config.llm_api_key == "sk-1"
    assert shown(config)["llm_api_key"] == "(hidden)"
    assert shown(load({"data_dir": str(tmp_path)}, {}))["llm_api_key"] == ""


def test_a_swarm_key_is_shown_nowhere_even_where_it_is_refused(tmp_path: Path) -> None:
    config = load({"data_dir": str(tmp_path)}, {"HIVEMIND_SWARM_KEY": "correct horse"})
    assert config.swarm_key == "correct horse"
    assert shown(config)["swarm_key"] == "(hidden)"
    with pytest.raises(InvalidConfig) as refused:
        load({"data_dir": str(tmp_path)}, {"HIVEMIND_SWARM_KEY": "hunter2"})
    assert refused.value.message == "swarm_key is not shown, from HIVEMIND_SWARM_KEY: not understood"
    assert refused.value.hint.startswith("give 12 characters or more, the same on all machines")


def test_peers_are_a_list_wherever_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('peers = ["desk.local:8101", "[fe80::1]:8101"]\n')
    peers = (Address("desk.local", 8101), Address("fe80::1", 8101))
    config = load({"data_dir": str(tmp_path)}, {})
    assert (config.peers, shown(config)["peers"]) == (peers, "desk.local:8101, [fe80::1]:8101")
    assert load({"data_dir": str(tmp_path)}, {"HIVEMIND_PEERS": "desk.local:8101,[fe80::1]:8101"}).peers == peers
    assert load({"data_dir": str(tmp_path), "peers": "a:1 a:1"}, {}).peers == (Address("a", 1),)


def test_a_machine_is_called_as_its_host_until_it_is_given_a_name(tmp_path: Path) -> None:
    config = load({"data_dir": str(tmp_path)}, {})
    assert config.name and socket.gethostname().startswith(config.name)
    assert load({"data_dir": str(tmp_path)}, {"HIVEMIND_NAME": " desk "}).name == "desk"


def test_what_nobody_chose_can_be_told_from_what_somebody_did(tmp_path: Path) -> None:
    config = load({"data_dir": str(tmp_path)}, {"HIVEMIND_PEER_ADDR": "0.0.0.0:8101"})
    assert config.chosen("peer_addr") and not config.chosen("listen_addr")


def test_a_relative_path_is_of_this_folder_and_a_tilde_of_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load({"data_dir": "data", "vault": "~/notes"}, {})
    assert config.data_dir == tmp_path / "data"
    assert config.vault == Path.home() / "notes"


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("HIVEMIND_LISTEN_ADDR", "8100", "host:port"),
        ("HIVEMIND_LISTEN_ADDR", "localhost:70000", "host:port"),
        ("HIVEMIND_LISTEN_ADDR", ":8100", "host:port"),
        ("HIVEMIND_PEER_ADDR", "localhost:http", "host:port"),
        ("HIVEMIND_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("HIVEMIND_EMBEDDING_MODEL", "magic", "local:<path.gguf>"),
        ("HIVEMIND_VAULT", "a\0b", "folder"),
        ("HIVEMIND_PEERS", "desk:8101, laptop", "host:port"),
        ("HIVEMIND_PEERS", "desk:0", "port 0 is nobody's"),
        ("HIVEMIND_NAME", "a\nb", "1 to 60 characters"),
        ("HIVEMIND_NAME", "x" * 61, "1 to 60 characters"),
    ],
)
def test_a_bad_value_is_named_with_its_source_and_the_form(tmp_path: Path, name: str, value: str, hint: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load({"data_dir": str(tmp_path)}, {name: value})
    assert name in refused.value.message
    assert repr(value) in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('valut = "/x"', "unknown setting `valut` in"),
        ('data_dir = "/x"', "unknown setting `data_dir` in"),
        ("listen_addr = 8100", "listen_addr in"),
        ("peers = [8101]", "peers in"),
        ('listen_addr = "x"', "listen_addr is 'x', from"),
        ("= nonsense", "cannot read"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong_in_it(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidConfig) as refused:
        load({"data_dir": str(tmp_path)}, {})
    assert refused.value.message.startswith(message)
    assert str(tmp_path / "config.toml") in refused.value.message


def test_an_address_everywhere_is_reached_here() -> None:
    assert Address("0.0.0.0", 80).url == "http://127.0.0.1:80"
    assert Address("::", 80).url == "http://[::1]:80"
    assert Address("desk.local", 80).url == "http://desk.local:80"
