"""`craton`: few verbs, the same for everything. Each command's module is imported only when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from craton import __version__
from craton.cli.output import report_errors

COMMANDS = {
    "serve": "craton.cli.serve:serve",
    "exec": "craton.cli.environment:execute",
    "env": "craton.cli.environment:env",
    "status": "craton.cli.status:status",
    "chat": "craton.cli.chat:chat",
    "ask": "craton.cli.ask:ask",
    "embed": "craton.cli.embed:embed",
    "explain": "craton.cli.explain:explain",
    "models": "craton.cli.models:models",
    "datasets": "craton.cli.datasets:datasets",
    "kb": "craton.cli.kb:kb",
    "train": "craton.cli.train:train",
    "predict": "craton.cli.predict:predict",
    "batches": "craton.cli.batches:batches",
    "jobs": "craton.cli.jobs:jobs",
    "buckets": "craton.cli.buckets:buckets",
    "blobs": "craton.cli.blobs:blobs",
    "keys": "craton.cli.keys:keys",
    "usage": "craton.cli.usage:usage",
    "trace": "craton.cli.trace:trace",
    "evaluate": "craton.cli.evaluate:evaluate",
    "demo": "craton.cli.demo:demo",
    "learn": "craton.cli.learn:learn",
    "job": "craton.cli.job:job",
    "completion": "craton.cli.completion:completion",
}


class LazyGroup(click.Group):
    """Finds its commands in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with report_errors():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="craton")
def main() -> None:
    """Bedrock, the Hugging Face Hub and training, on your own machine.

    Everything lives under CRATON_HOME (default: ~/.craton). Start with `craton serve`, then `craton chat`.
    """
