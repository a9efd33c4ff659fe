"""The folder that a run leaves."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import yaml

from craton import __version__
from craton.engines.predictor.drift import reference_of
from craton.engines.predictor.loaders import loader_of, sha256
from craton.engines.predictor.manifest import NAME, Manifest
from craton.engines.predictor.protocol import Predictor
from craton.training.artifacts.card import Told, write_card
from craton.training.artifacts.schemas import arrow_schema, json_schemas
from craton.training.protocol import Figure, Tables, Trained
from craton.training.specification.methods import Specification
from craton.training.specification.reading import document_of, method_of
from craton.training.specification.tuning import Tuned

LIBRARIES = (
    "gymnasium",
    "lightgbm",
    "numpy",
    "river",
    "scikit-learn",
    "sentence-transformers",
    "skops",
    "stable-baselines3",
    "torch",
    "umap-learn",
    "xgboost-cpu",
)
METRICS, SPECIFICATION, SIGNATURE, ARROW, REPORT = (
    "metrics.json",
    "specification.yaml",
    "signature.json",
    "signature.arrow",
    "report",
)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a model comes from. dataset: as the specification names it, with its revision in full. models: of the hub,
    that it was made from."""

    run: str
    dataset: str
    dataset_revision: str = ""
    models: tuple[str, ...] = ()

    def words(self) -> dict[str, str]:
        found = {"run": self.run, "dataset": self.dataset, "dataset_revision": self.dataset_revision}
        found["models"] = ", ".join(self.models)
        return {name: value for name, value in found.items() if value}


def write_predictor(
    folder: Path, spec: Specification, predictor: Predictor, tables: Tables | None, lineage: Lineage
) -> Manifest:
    """The weights and what describes them: enough to load it."""
    parameters = predictor.save(folder)
    if tables is not None:
        parameters = {**parameters, "reference": reference_of(tables.train, tables.fields)}
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        loader=loader_of(predictor),
        method=method_of(spec),
        signature=predictor.signature,
        files={name: sha256(folder / name) for name in files},
        parameters=parameters,
        versions=versions(),
        lineage=lineage.words(),
    )
    _write_json(folder / NAME, manifest)
    _write_json(folder / SIGNATURE, json_schemas(predictor.signature))
    (folder / ARROW).write_bytes(arrow_schema(predictor.signature.inputs).serialize().to_pybytes())
    return manifest


def write_report(
    folder: Path,
    spec: Specification,
    trained: Trained,
    tables: Tables | None,
    lineage: Lineage,
    warnings: list[str],
    manifest: Manifest | None,
) -> None:
    """Everything for people: figures, pictures, the specification, the card. manifest: None for what is an ordinary
    repository (`Trained.folder`); its own card is kept."""
    write_facts(folder, spec, trained)
    if not (folder / "README.md").exists():
        told = Told(spec, trained, tables, lineage.run, lineage.dataset, tuple(warnings), manifest)
        (folder / "README.md").write_text(write_card(told), "utf-8")


def write_facts(folder: Path, spec: Specification | Tuned, trained: Trained) -> None:
    """Figures, pictures, the specification."""
    _write_json(folder / METRICS, {name: float(value) for name, value in sorted(trained.metrics.items())})
    (folder / SPECIFICATION).write_text(yaml.safe_dump(document_of(spec), sort_keys=False, allow_unicode=True))
    for figure in trained.figures:
        _write_figure(folder / REPORT, figure)


def versions() -> dict[str, str]:
    """Of what made the artifact."""
    found = {"python": platform.python_version(), "craton": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _write_figure(folder: Path, figure: Figure) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{figure.name}.png").write_bytes(figure.png)
    if figure.data is not None:
        _write_json(folder / f"{figure.name}.json", figure.data)


def _write_json(path: Path, value: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
