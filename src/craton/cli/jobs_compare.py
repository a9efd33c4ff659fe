"""`craton jobs compare`: training runs side by side; and what `craton jobs show` tells of one."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.output import hint, human_span, json_option, print_json, print_table, printable

ROUTE = "/api/craton/v1/runs"
MAX_CURVES = 20
POINTS = 200  # of a curve: more than a line of bars can show
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24  # characters of a small curve
SMALLER_IS_BETTER = (
    "loss",
    "error",
    "rmse",
    "mae",
    "mse",
    "davies_bouldin",
    "brier",
    "perplexity",
    "seconds",
    "difference",
)


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


def show_figures(connection: Connection, run_id: str) -> None:
    """The figures and curves of one run, if it has told any yet."""
    run = connection.get(f"{ROUTE}/{run_id}")
    if run["figures"]:
        click.echo()
        figures = [(name, _figure(value)) for name, value in run["figures"].items()]
        print_table(("FIGURE", ""), figures, "", right=("",))
    if run["curves"]:
        click.echo()
        names = run["curves"][:MAX_CURVES]
        found = {
            name: connection.get(f"{ROUTE}/{run_id}/curves/{quote(name, safe='')}", points=POINTS) for name in names
        }
        print_table(("CURVE", ""), [(name, _small(curve)) for name, curve in found.items()], "")
        if len(run["curves"]) > MAX_CURVES:
            hint(f"\nand {len(run['curves']) - MAX_CURVES} more curves: craton jobs compare shows all")


def _about(runs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    def took(run: dict[str, Any]) -> str:
        seconds = run["facts"].get("cost", {}).get("seconds")
        return "" if seconds is None else human_span(seconds)

    def energy(run: dict[str, Any]) -> str:
        cost = run["facts"].get("cost", {})
        told = [cost[name] for name in ("joules", "gpu_joules") if name in cost]
        return f"{sum(told):,.0f} J" if told else ""

    spent = [*map(energy, runs)]
    return [
        ("status", *(run["status"] for run in runs)),
        ("took", *map(took, runs)),
        *([("energy", *spent)] if any(spent) else []),
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
    largest = max(map(abs, values)) or 1.0  # divided by it, the largest numbers there are can still be added
    parts = [values[start : start + every] for start in range(0, len(values), every)]
    thinned = [sum(value / largest for value in part) / len(part) for part in parts]
    low, high = min(thinned), max(thinned)
    if high == low:
        return BARS[3] * len(thinned)
    return "".join(BARS[min(len(BARS) - 1, int((value - low) / (high - low) * len(BARS)))] for value in thinned)
