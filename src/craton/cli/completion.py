"""`craton completion`, and what completes model names."""

from __future__ import annotations

from contextlib import suppress

import click
from click.shell_completion import CompletionItem, get_completion_class

from craton.cli.connection import connect_if_running
from craton.core.errors import CratonError

PATIENCE = 1.0  # seconds: a prompt must not hang


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a SHELL's completion script. Names of models complete too, while a server runs.

    \b
    bash:  echo 'eval "$(craton completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(craton completion zsh)"' >> ~/.zshrc
    fish:  craton completion fish > ~/.config/fish/completions/craton.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # Click knows these three
        raise click.UsageError(f"Click cannot complete in {shell}")
    click.echo(kind(context.find_root().command, {}, "craton", "_CRATON_COMPLETE").source())


def complete_model(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of models that begin so; none when no server tells."""
    with suppress(CratonError):
        connection = connect_if_running()
        if connection is not None:
            models = connection.get("/api/craton/v1/models", timeout=PATIENCE)["models"]
            return [CompletionItem(model["id"]) for model in models if model["id"].startswith(incomplete)]
    return []
