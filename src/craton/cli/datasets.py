"""`craton datasets`."""

from __future__ import annotations

import click

from craton.cli.datasets_add import add
from craton.cli.datasets_view import rows, schema, stats


@click.group()
def datasets() -> None:
    """Add to datasets, and look into them."""


for command in (add, schema, rows, stats):
    datasets.add_command(command)
