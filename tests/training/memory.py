"""A run that keeps everything in memory, and tables made on the spot: trainers are tried without jobs and servers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from craton.core.errors import NotFound
from craton.core.predicting import Field
from craton.engines.predictor.loaders import LOADERS, load, loader_of, sha256
from craton.engines.predictor.manifest import NAME, Manifest
from craton.training.protocol import Tables, Team
from craton.training.team.alone import Alone


@dataclass
class MemoryRun:
    """folder, outside: as a run has them. repositories: "kind:ref" -> a folder. stop: called at every check."""

    folder: Path
    repositories: dict[str, Path] = field(default_factory=dict)
    stop: Callable[[], None] | None = None
    outside: Any = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    figures: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def check(self) -> None:
        if self.stop is not None:
            self.stop()

    def progress(self, done: int, total: int | None, unit: str) -> None: ...

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        if step is None:
            self.figures[name] = value
        else:
            self.curves[name].append((step, value))

    def parameter(self, name: str, value: Any) -> None:
        self.parameters[name] = value

    def log(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def team(self, size: int, *, here: bool) -> Team:
        return Alone()

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        found = self.repositories.get(f"{kind}:{ref}")
        if found is None:
            raise NotFound(kind, ref)
        return found


def tables(
    train: pd.DataFrame,
    fields: tuple[Field, ...],
    target: Field | None,
    *,
    validation: pd.DataFrame | None = None,
    test: pd.DataFrame | None = None,
    **others: Any,
) -> Tables:
    empty = train.iloc[:0]
    parts = (empty if part is None else part.reset_index(drop=True) for part in (validation, test))
    return Tables(train, *parts, fields=fields, target=target, **others)


def saved_and_loaded(predictor: Any, folder: Path, method: str) -> Any:
    """Through the files that an artifact would have."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = predictor.save(folder)
    files = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = Manifest(loader_of(predictor), method, predictor.signature, files, parameters)
    assert manifest.loader in LOADERS
    import msgspec

    (folder / NAME).write_bytes(msgspec.json.encode(manifest))
    return load(folder)
