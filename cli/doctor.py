"""doctor: what is wrong, what could be repaired, and what a person must decide."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hiveminddb._address import data_dir, running
from hiveminddb._upkeep_calls import Choice
from hiveminddb.cli.launch import answering, held, is_daemon
from hiveminddb.cli.output import home, paint, say, say_json, size
from hiveminddb.cli.session import FAILED, Session, ask, command, pass_session
from hiveminddb.cli.text import visible
from hiveminddb.errors import NotReachable, StorageError
from hiveminddb.upkeep import Check

# Below this a database that grows is soon in trouble.
LOW_DISK = 200_000_000


@command()
@click.option("--rebuild", is_flag=True, help="Derive everything from the change log again.")
@click.option("--accept-deletions", "choice", flag_value="accept_deletions", help="The missing files were meant to go.")
@click.option("--restore-files", "choice", flag_value="restore_files", help="Write the missing files again.")
@click.option("--recreate-vault", "choice", flag_value="recreate", help="Make the vault folder anew from the memory.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
@pass_session
def doctor(session: Session, ctx: click.Context, rebuild: bool, choice: Choice | None, yes: bool) -> None:
    """Check everything, repair what can be repaired.

    A vault that stopped to ask is answered with one of --accept-deletions, --restore-files, --recreate-vault.
    """
    if choice == "accept_deletions":
        ask("forget every memory whose file is missing? (hmd restore brings them back)", yes)
    if rebuild:
        ask("derive all rows and indexes from the change log again? (nothing is lost; it may take a while)", yes)
    checks = list(_local(session))
    try:
        with session.client(timeout=3600) as mind:
            if choice is not None:
                mind.resolve_vault(choice)
            checks.extend(mind.doctor(rebuild=rebuild))
    except NotReachable as error:
        offline = [] if choice is not None else _without_daemon(session, rebuild)
        if not offline and (choice is not None or rebuild):
            raise
        # A database is only mended where none runs.
        checks += [*offline, Check("daemon", rebuild, f"{error.message}; start it with: hmd up")]
    _tell(session, checks)
    if not all(check.ok for check in checks):
        ctx.exit(FAILED)


def _without_daemon(session: Session, rebuild: bool) -> list[Check]:
    """What can be seen of the database, and mended, where no daemon has it open: nobody can start on a damaged one."""
    folder = data_dir(session.data_dir)
    if session.url or held(folder) or not (folder / "hivemind.db").exists():
        return []
    command = [sys.executable, "-P", "-m", "hiveminddb.daemon.mending", "--data-dir", str(folder)]
    done = subprocess.run([*command, *(["--rebuild"] if rebuild else [])], capture_output=True, text=True, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise StorageError("the database could not be looked at", done.stderr[-500:] or "no reason was given") from None
    if "error" in said:
        raise StorageError(said["error"], said["hint"])
    return [Check(**one) for one in said["checks"]]


def _local(session: Session) -> Iterator[Check]:
    """What can be seen from this machine without the daemon."""
    if session.url:
        return
    folder = data_dir(session.data_dir)
    if not folder.is_dir():
        yield Check("data folder", True, f"{home(str(folder))} is not there yet; hmd up makes it")
        return
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield Check("data folder", writable, home(str(folder)) + ("" if writable else " cannot be written to"))
    free = shutil.disk_usage(folder).free
    yield Check("disk", free >= LOW_DISK, f"{size(free)} free")
    yield from _process(folder)


def _process(folder: Path) -> Iterator[Check]:
    told = running(folder)
    if told is None or told.pid is None:
        return
    if not is_daemon(told.pid):
        yield Check("process", True, f"daemon {told.pid} ended without a word; the next start recovers")
    elif answering(folder) is None:
        yield Check("process", False, f"daemon {told.pid} runs but does not answer at {told.url}; see its log")
    else:
        yield Check("process", True, f"daemon {told.pid} answers at {told.url}")


def _tell(session: Session, checks: list[Check]) -> None:
    if session.json:
        say_json(checks)
        return
    width = max((len(check.check) for check in checks), default=0)
    for check in checks:
        mark = (
            paint("repaired", "yellow") if check.repaired else paint("ok", "green") if check.ok else paint("bad", "red")
        )
        space = " " * (8 - len("repaired" if check.repaired else "ok" if check.ok else "bad"))
        say(f"{mark}{space}  {visible(check.check):<{width}}  {visible(check.message)}")
