"""What every command shares: where the daemon is, how to print, and how errors end the command."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import click

from hiveminddb.cli.output import note, paint
from hiveminddb.cli.text import visible
from hiveminddb.client import HiveMind
from hiveminddb.errors import HiveMindError, InvalidInput, NotReachable

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3


@dataclass(slots=True)
class Session:
    """The global options of one run."""

    url: str | None = None
    token: str | None = None
    data_dir: str | None = None
    vault: str | None = None
    listen: str | None = None
    json: bool = False

    def client(self, timeout: float = 60.0) -> HiveMind:
        return HiveMind(self.url, self.token, timeout, data_dir=self.data_dir)


pass_session = click.make_pass_decorator(Session, ensure=True)


class Failed(click.ClickException):
    """A HiveMindError as the end of a command."""

    def __init__(self, error: HiveMindError) -> None:
        super().__init__(error.message)
        self.error = error

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return UNREACHABLE if isinstance(self.error, NotReachable) else FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        note(f"{paint('error:', 'red', bold=True)} {visible(self.error.message)}")
        if self.error.hint:
            note(f"{paint('hint:', 'cyan')} {visible(self.error.hint)}")


def show_usage_error(error: click.UsageError) -> None:
    """A command line that cannot be understood, in the form of every other error."""
    note(f"{paint('error:', 'red', bold=True)} {visible(error.format_message())}")
    if error.ctx is not None:
        note(f"{paint('hint:', 'cyan')} {error.ctx.command_path} --help")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turns the client's errors into ends of the command."""
    try:
        yield
    except HiveMindError as error:
        raise Failed(error) from error


class Command(click.Command):
    """A command that takes the global options too, so that they may stand anywhere on the line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(hidden=True))


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    return click.command(name, cls=Command, **settings)


class Group(click.Group):
    """Commands under one name, which takes the global options too."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(hidden=True))


def global_options(hidden: bool = False) -> list[click.Option]:
    def option(*names: str, help: str, shown: bool = False, **settings: Any) -> click.Option:
        hide = hidden and not shown
        return click.Option(names, help=help, hidden=hide, expose_value=False, callback=_keep, **settings)

    return [
        option("--url", metavar="URL", help="The daemon to talk to."),
        option("--token", metavar="TOKEN", help="The bearer token of a daemon that wants one."),
        option("--data-dir", metavar="DIR", help="The daemon's data folder."),
        option("--vault", metavar="DIR", help="The folder of markdown (for up and daemon)."),
        option("--listen", metavar="HOST:PORT", help="Where to listen (for up and daemon)."),
        option("--json", is_flag=True, shown=True, help="Print JSON."),
    ]


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        session = ctx.ensure_object(Session)
        folder = param.name in ("data_dir", "vault")
        setattr(session, str(param.name), os.path.abspath(os.path.expanduser(value)) if folder else value)


ack_option = click.option(
    "--ack",
    type=click.Choice(["local", "auto", "quorum"]),
    help="What to wait for: this machine alone, a majority of the swarm, or that for a second at most (auto).",
)
consistency_option = click.option(
    "--consistency",
    type=click.Choice(["local", "linearizable"]),
    help="Read what is here, or all that was committed anywhere before.",
)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (local where it has no zone), or an age such as 90m, 12h, 7d, 2w."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if age := re.fullmatch(r"(\d+)([mhdw])", value):
                return datetime.now(UTC) - int(age[1]) * _UNITS[age[2]]
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(f"not a time: {value} (write 2026-05-31, 2026-05-31T14:00Z or an age such as 7d)", param, ctx)


MOMENT = Moment()


def ask(question: str, yes: bool) -> None:
    """Goes on only if the person agrees; without a terminal only if --yes was given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed(InvalidInput(f"not done without an answer to: {question}", "add --yes to agree beforehand"))
    if not click.confirm(question, err=True):
        raise click.Abort


def complete_topic(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Topics of the daemon for the shell's completion; none when it does not answer at once."""
    try:
        with (ctx.find_object(Session) or Session()).client(timeout=1.0) as mind:
            return [topic.topic for topic in mind.topics() if topic.topic.startswith(incomplete)]
    except HiveMindError:
        return []
