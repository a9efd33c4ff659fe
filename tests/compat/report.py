"""What came out: a table to look at, and docs/proof/compat.md."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.compat.generations import KNOWN_LIMITS, Generation

WORDS = {"passed": "passed", "absent": "absent", "known": "known limit", "failed": "FAILED", "stale": "passes by now"}


@dataclass(frozen=True)
class Outcome:
    """ok: None when the client has no such feature."""

    generation: Generation
    check: str
    ok: bool | None
    detail: str

    @property
    def limit(self) -> str:
        return KNOWN_LIMITS.get((self.generation.name, self.check), "")

    @property
    def verdict(self) -> str:
        if self.ok is None:
            return "absent"
        if self.ok:
            return "stale" if self.limit else "passed"
        return "known" if self.limit else "failed"

    @property
    def sentence(self) -> str:
        why = " ".join((self.limit or self.detail).split())
        return f"{self.generation.name}, {self.check}: {WORDS[self.verdict]}. {why}"

    @property
    def bad(self) -> bool:
        return self.verdict in {"failed", "stale"}


def show(outcomes: Iterable[Outcome], console: Console) -> None:
    """One row for each generation; below it what did not pass."""
    outcomes = list(outcomes)
    table = Table("client", "scenario", "passed", "absent", "known limits", "failed")
    for generation in _generations(outcomes):
        counts = _counts(outcomes, generation)
        table.add_row(generation.name, generation.scenario, *map(str, counts))
    console.print(table)
    for outcome in outcomes:
        if outcome.verdict != "passed":
            console.print(outcome.sentence, soft_wrap=True, markup=False, highlight=False)


def write(outcomes: Iterable[Outcome], path: Path) -> None:
    outcomes = list(outcomes)
    today = datetime.now(UTC).date().isoformat()
    lines = [
        "# Older generations of the clients, and strangers' code on top of them",
        "",
        f"Written by `make compat` on {today} (Python {platform.python_version()}, {platform.system()}). Each "
        "generation is installed, unmodified, in an environment of its own, with the dependencies of its time, and "
        "runs the same scenarios (tests/compat/scenarios/) against a server process of this checkout with the `echo` "
        "model. Absent: this generation of the client has no such feature.",
        "",
        "| client | with | scenario | dependencies of | passed | absent | known limits | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for generation in _generations(outcomes):
        counts = " | ".join(map(str, _counts(outcomes, generation)))
        beside = ", ".join(requirement.replace("==", " ") for requirement in generation.requirements[1:])
        about = f"{generation.name} | {beside} | {generation.scenario} | {generation.until or today}"
        lines.append(f"| {about} | {counts} |")
    for scenario in dict.fromkeys(outcome.generation.scenario for outcome in outcomes):
        lines += ["", *_matrix([outcome for outcome in outcomes if outcome.generation.scenario == scenario])]
    remarks = [outcome for outcome in outcomes if outcome.verdict != "passed"]
    lines += ["", "## What did not simply pass", ""]
    lines += [f"- {outcome.sentence}" for outcome in remarks] or ["Nothing."]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _matrix(outcomes: list[Outcome]) -> list[str]:
    generations = _generations(outcomes)
    found = {(outcome.generation, outcome.check): WORDS[outcome.verdict] for outcome in outcomes}
    checks = list(dict.fromkeys(outcome.check for outcome in outcomes))
    return [
        "| check | " + " | ".join(generation.name for generation in generations) + " |",
        "|---|" + "---|" * len(generations),
        *(
            f"| {check} | "
            + " | ".join(found.get((generation, check), "did not run") for generation in generations)
            + " |"
            for check in checks
        ),
    ]


def _generations(outcomes: list[Outcome]) -> list[Generation]:
    return list(dict.fromkeys(outcome.generation for outcome in outcomes))


def _counts(outcomes: list[Outcome], generation: Generation) -> tuple[int, int, int, int]:
    verdicts = [outcome.verdict for outcome in outcomes if outcome.generation == generation]
    failed = verdicts.count("failed") + verdicts.count("stale")
    return verdicts.count("passed"), verdicts.count("absent"), verdicts.count("known"), failed
