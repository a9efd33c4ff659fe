"""`craton jobs compare`: training runs side by side."""

from __future__ import annotations

import math
from typing import Any

import click

from craton.cli.connection import connect, connection_options
from craton.cli.output import hint, human_span, json_option, print_json, print_table, printable

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24  # characters of a small curve
SMALLER_IS_BETTER = ("loss", "error", "rmse", "mae", "mse", "davies_bouldin", "brier", "perplexity", "seconds")


@click.command()
@click.argument("run_ids", metavar="RUN RUN [RUN...]", nargs=-1, required=True)
@connection_options
@json_option
def compare(run_ids: tuple[str, ...], url: str | None, key: str | None, as_json: bool) -> None:
    """Set training runs side by side: what differs in them, their figures (the best one marked), their curves.

    The beginning of a run's id is enough. `craton jobs list` shows them.

    \b
    craton jobs compare b91fc1 7fa015
    """
    if len(run_ids) < 2:
        raise click.UsageError("Name two runs or more.")
    found = connect(url, key).get("/api/craton/v1/compare", runs=",".join(run_ids))
    if as_json:
        print_json(found)
        return
    heads = ("", *(run["id"][:8] for run in found["runs"]))
    print_table(heads, [*_about(found["runs"]), *_differing(found["parameters"])], "", whole=heads[:1])
    if found["figures"]:
        click.echo()
        figures = [_marked(name, values) for name, values in found["figures"].items()]
        print_table(("FIGURE", *heads[1:]), figures, "", right=heads[1:])
    if found["curves"]:
        click.echo()
        curves = [(name, *map(_small, values)) for name, values in found["curves"].items()]
        print_table(("CURVE", *heads[1:]), curves, "")
    hint("\n* the best, where it is plain which way is better. All numbers: --json")


def _about(runs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    def took(run: dict[str, Any]) -> str:
        seconds = run["facts"].get("cost", {}).get("seconds")
        return "" if seconds is None else human_span(seconds)

    return [
        ("status", *(run["status"] for run in runs)),
        ("took", *map(took, runs)),
        ("model", *(f"{run['model']}@{run['model_revision'][:8]}" if run["model"] else "" for run in runs)),
    ]


def _differing(parameters: dict[str, list[Any]]) -> list[tuple[str, ...]]:
    return [
        (name, *("" if value is None else printable(str(value)) for value in values))
        for name, values in parameters.items()
    ]


def _marked(name: str, values: list[Any]) -> tuple[str, ...]:
    finite = [value for value in values if isinstance(value, int | float)]
    best = (min if any(word in name for word in SMALLER_IS_BETTER) else max)(finite) if len(set(finite)) > 1 else None
    return (name, *(f"{'* ' if value == best else ''}{_figure(value)}" for value in values))


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _small(curve: dict[str, Any] | None) -> str:
    """The curve as a line of bars, and where it ends."""
    if curve is None:
        return ""
    values = [value for value in curve["values"] if isinstance(value, int | float)]
    if not values:
        return "no numbers"
    return f"{sparkline(values)} {values[-1]:.4g}"


def sparkline(values: list[float], width: int = WIDTH) -> str:
    """Values as bars between their smallest and largest, thinned to so many."""
    every = math.ceil(len(values) / width)
    thinned = [
        sum(part) / len(part) for start in range(0, len(values), every) if (part := values[start : start + every])
    ]
    low, high = min(thinned), max(thinned)
    if high == low:
        return BARS[3] * len(thinned)
    return "".join(BARS[min(len(BARS) - 1, int((value - low) / (high - low) * len(BARS)))] for value in thinned)
