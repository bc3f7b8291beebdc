from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hiveminddb.daemon.api.security import LoopbackGuard, TokenGuard, guard_for, is_loopback
from hiveminddb.errors import Forbidden, InvalidConfig, Unauthorized
from tests.daemon.served import served


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8100", "LocalHost:9", "[::1]:8100", "127.0.0.2"])
def test_this_machine_by_any_name_and_port_is_answered(host: str) -> None:
    LoopbackGuard().check([(b"host", host.encode())])
    LoopbackGuard().check([(b"host", host.encode()), (b"origin", b"http://" + host.encode())])


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8100", "10.0.0.1", "", "[::1", "a@b:c"]
)
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    with pytest.raises(Forbidden):
        LoopbackGuard().check([(b"host", host.encode())])


def test_no_host_or_two_are_refused() -> None:
    with pytest.raises(Forbidden):
        LoopbackGuard().check([])
    with pytest.raises(Forbidden):
        LoopbackGuard().check([(b"host", b"localhost"), (b"host", b"localhost")])


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "file://", "", "http://"])
def test_a_page_from_elsewhere_is_refused(origin: str) -> None:
    with pytest.raises(Forbidden):
        LoopbackGuard().check([(b"host", b"localhost:8100"), (b"origin", origin.encode())])


def test_a_refused_caller_gets_no_word_about_the_memory() -> None:
    with served() as server:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            reply = server.ask("GET", "/health", headers=headers)
            assert (reply.status, reply.json["error"]["code"]) == (403, "forbidden")
            assert "access-control-allow-origin" not in reply.headers
            assert server.ask("OPTIONS", "/api/v1/memories", headers=headers).status == 403
            assert server.ask("GET", "/nowhere", headers=headers).status == 403


@pytest.mark.parametrize(
    "given", [[], [b"Bearer wrong"], [b"Basic secret-token"], [b"Bearer"], [b"Bearer secret-token"] * 2, [b"\xff"]]
)
def test_without_the_token_nothing_is_answered(given: list[bytes]) -> None:
    with pytest.raises(Unauthorized):
        TokenGuard("secret-token").check([(b"authorization", value) for value in given])


def test_with_the_token_any_host_will_do() -> None:
    with served(TokenGuard("secret-token")) as server:
        denied = server.ask("GET", "/health")
        assert (denied.status, denied.headers["www-authenticate"]) == (401, "Bearer")
        headers = {"Host": "desk.local", "Authorization": "bearer  secret-token"}
        assert server.ask("GET", "/health", headers=headers).status == 200


def test_loopback_makes_no_token(tmp_path: Path) -> None:
    assert isinstance(guard_for("127.0.0.1", tmp_path / "token"), LoopbackGuard)
    assert not (tmp_path / "token").exists()


def test_the_first_start_elsewhere_makes_a_token_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "token"
    guard_for("0.0.0.0", path)
    token = path.read_text().strip()
    assert len(token) > 30
    path.chmod(0o644)
    guard_for("desk.local", path).check([(b"authorization", f"Bearer {token}".encode())])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "short", "größe" * 10])
def test_a_token_file_that_is_no_token_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(InvalidConfig):
        guard_for("0.0.0.0", path)


def test_only_loopback_is_loopback() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.0.0.9", "::1", "0.0.0.0", "::", "desk", "")] == (
        [True, True, True, False, False, False, False]
    )
