"""The packages, the folders they come from and the links that tools follow are one list; a wheel holds all of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cli", "daemon", "store", "sync", "vault")
NESTED = ("daemon/api", "daemon/embedding", "daemon/mirror", "daemon/swarm", "sync/raft")
MODEL = "hiveminddb/daemon/all-MiniLM-L6-v2.Q8_0.gguf"


@pytest.fixture(scope="module")
def setuptools_table() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return table


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel built from the files git knows, as someone else would get them."""
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if not (ROOT / name).is_symlink() and (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(source)]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(target.glob("*.whl"))) as opened:
        yield opened


def test_packages_folders_and_links_agree(setuptools_table: dict[str, object]) -> None:
    mapping = {"hiveminddb": "hiveminddb", **{f"hiveminddb.{f.replace('/', '.')}": f for f in FOLDERS + NESTED}}
    assert setuptools_table["package-dir"] == mapping
    assert sorted(setuptools_table["packages"]) == sorted(mapping)  # type: ignore[call-overload]
    for folder in FOLDERS:
        assert (ROOT / "hiveminddb" / folder).readlink() == Path("..") / folder


def test_rooms_have_no_folders_of_code_that_the_mapping_would_forget() -> None:
    for folder in ("hiveminddb", *FOLDERS):
        nested = {path.parent for path in (ROOT / folder).glob("**/*.py") if not path.parent.is_symlink()}
        assert nested - {ROOT / folder} <= {ROOT / known for known in NESTED}


def test_a_wheel_holds_every_module_the_model_and_its_licence(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    modules = {name for name in listed if name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    modules = {f"hiveminddb/{name}" for name in modules if name.endswith((".py", ".sql"))}
    assert modules <= names
    assert {MODEL, f"{MODEL}.LICENSE", f"{MODEL}.NOTICE", "hiveminddb/py.typed"} <= names
    assert wheel.getinfo(MODEL).file_size == 25_279_168


def test_a_wheel_puts_nothing_generic_into_site_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hiveminddb"}


def test_a_wheel_says_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    info = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()
    assert "hmd = hiveminddb.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_mypy_is_given_every_file_through_the_links() -> None:
    """Without the links it would check the client alone and say Success."""
    from mypy.find_sources import create_source_list
    from mypy.options import Options

    sources = create_source_list([str(ROOT / "hiveminddb")], Options())
    real = sum(len(list((ROOT / folder).glob("*.py"))) for folder in ("hiveminddb", *FOLDERS, *NESTED))
    assert len(sources) == real > 50
