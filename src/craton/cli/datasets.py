"""`craton datasets`."""

from __future__ import annotations

import click

from craton.cli.datasets_add import add
from craton.cli.datasets_pull import list_datasets, pull, show
from craton.cli.datasets_view import rows, schema, stats
from craton.cli.pushing import push_command


@click.group()
def datasets() -> None:
    """Fetch, add to, send and look into datasets."""


for command in (list_datasets, show, pull, add, push_command("dataset"), schema, rows, stats):
    datasets.add_command(command)
