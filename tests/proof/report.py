"""The figures of a proof: printed, and written to docs/proof/."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.proof.processes import load_average, machine

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "proof"


@dataclass(frozen=True)
class Figure:
    """holds: whether a bound is kept; None when the figure has no bound."""

    what: str
    value: str
    bound: str = ""
    holds: bool | None = None


@dataclass
class Proof:
    """name: the file in docs/proof/. about: what is proved, and how."""

    name: str
    title: str
    about: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def note(self, what: str, value: str) -> None:
        self.figures.append(Figure(what, value))
        print(f"  {what}: {value}", flush=True)

    def bound(self, what: str, value: str, bound: str, holds: bool) -> None:
        self.figures.append(Figure(what, value, bound, holds))
        print(f"  {what}: {value} ({bound}): {'holds' if holds else 'DOES NOT HOLD'}", flush=True)

    @property
    def holds(self) -> bool:
        return all(figure.holds is not False for figure in self.figures)

    def write(self, command: str, note: str) -> None:
        now = datetime.now(UTC)
        where = f"{machine()}; Python {platform.python_version()}; load average {load_average():.1f} at the end"
        lines = [
            f"# {self.title}",
            "",
            self.about,
            "",
            f"- Date: {now:%Y-%m-%d}",
            f"- Machine: {where}{f'. {note}' if note else ''}",
            f"- Command: `{command}`",
            "",
            "| figure | value | bound | holds |",
            "|---|---|---|---|",
            *(
                f"| {figure.what} | {figure.value} | {figure.bound} | "
                f"{'' if figure.holds is None else 'yes' if figure.holds else '**no**'} |"
                for figure in self.figures
            ),
        ]
        for table in self.tables:
            lines += ["", table]
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{self.name}.md").write_text("\n".join(lines) + "\n")
