"""completion: what the shell needs to complete hmd's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hiveminddb.cli.output import say, say_json
from hiveminddb.cli.session import Session, command, pass_session

_INSTALL = {
    "bash": 'eval "$(hmd completion bash)"  in ~/.bashrc',
    "zsh": 'eval "$(hmd completion zsh)"  in ~/.zshrc',
    "fish": "hmd completion fish > ~/.config/fish/completions/hmd.fish",
}


@command(epilog="\b\n" + "\n".join(_INSTALL.values()))
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
@pass_session
def completion(session: Session, ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    source = kind(ctx.find_root().command, {}, "hmd", "_HMD_COMPLETE").source()
    if session.json:
        say_json({"shell": shell, "source": source})
    else:
        say(source)
