"""`craton usage`."""

from __future__ import annotations

import time

import click

from craton.cli.connection import connect, connection_options
from craton.cli.durations import Duration
from craton.cli.output import human_span, json_option, print_json, print_table

COLUMNS = ("MODEL", "REQUESTS", "ERRORS", "TOKENS IN", "TOKENS OUT", "TIME", "COST")


@click.command()
@click.option("--since", type=Duration(), metavar="SPAN", help="Only the last 12h, 7d ... Default: everything.")
@connection_options
@json_option
def usage(since: float | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Show requests, tokens, time and cost of each model.

    Of the key's own tenant.

    \b
    craton usage --since 7d

    A cost appears for models with a line under [prices] in CRATON_HOME/config.toml.
    """
    begin = 0.0 if since is None else time.time() - since
    found = connect(url, key).get("/api/craton/v1/usage", since=begin)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            line["model"],
            f"{line['requests']:,}",
            f"{line['errors']:,}",
            f"{line['input_tokens']:,}",
            f"{line['output_tokens']:,}",
            human_span(line["seconds"]),
            "-" if line["cost"] is None else f"{line['cost']:.4f}",
        )
        for line in found["usage"]
    ]
    print_table(COLUMNS, rows, 'Nothing was asked yet. Try: craton chat "Hello"', right=COLUMNS[1:])
