"""hmd: the memory from the shell."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from hiveminddb.cli.output import note
from hiveminddb.cli.session import DONE, FAILED, USAGE, Session, errors_shown, global_options, show_usage_error

# Commands are imported when they are run: `hmd search` must not pay for the others.
COMMANDS = {
    "up": "process:up",
    "daemon": "process:daemon",
    "down": "process:down",
    "status": "health:status",
    "add": "memories:add",
    "search": "search:search",
    "show": "show:show",
    "edit": "edit:edit",
    "history": "show:history",
    "diff": "show:diff",
    "forget": "memories:forget",
    "restore": "memories:restore",
    "topics": "show:topics",
    "import": "transfer:import_",
    "export": "transfer:export",
    "log": "log:log",
    "invite": "joining:invite",
    "join": "joining:join",
    "swarm": "swarm:swarm",
    "lease": "lease:lease",
    "config": "health:config",
    "doctor": "doctor:doctor",
    "mcp": "process:mcp",
    "completion": "completion:completion",
}


class Hmd(click.Group):
    """The group of all commands; ends with 0 done, 1 failed, 2 usage, 3 daemon not reachable."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found: click.Command = getattr(importlib.import_module(f"hiveminddb.cli.{module}"), name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        with errors_shown():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs and ends the process, errors in the same form as everywhere."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.UsageError as error:
            show_usage_error(error)
            sys.exit(USAGE)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            note("aborted")
            sys.exit(FAILED)
        sys.exit(code if isinstance(code, int) else DONE)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version  # slower than a whole search

        try:
            click.echo(f"hmd {version('hiveminddb')}")
        except PackageNotFoundError:
            click.echo("hmd from a checkout")
        ctx.exit()


@click.group(cls=Hmd, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="The version."
)
@click.pass_context
def hmd(ctx: click.Context) -> None:
    """One memory for agents and people, as markdown files on your own machines."""
    ctx.ensure_object(Session)


hmd.params.extend(global_options())


def main(args: Sequence[str] | None = None) -> None:
    """The `hmd` command."""
    hmd.main(args, prog_name="hmd")
