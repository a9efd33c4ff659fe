"""The model's card, written from the run: what it is for, on what it was trained, how good it is, where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from craton.core.predicting import Field
from craton.engines.predictor.manifest import Manifest
from craton.training.protocol import Tables, Trained
from craton.training.specification.methods import Reinforcement, Specification, Transfer
from craton.training.specification.reading import document_of, method_of

PIPELINES = {
    "classification": "tabular-classification",
    "regression": "tabular-regression",
    "reinforcement": "reinforcement-learning",
}
MOST_FIELDS = 60  # that the card lists; model.json has all
_LIBRARIES = {"sklearn": "sklearn", "lightgbm": "lightgbm", "xgboost": "xgboost", "policy": "stable-baselines3"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the card is written from."""

    spec: Specification
    trained: Trained
    tables: Tables | None
    run: str
    dataset: str
    warnings: tuple[str, ...]
    manifest: Manifest | None


def write_card(told: Told) -> str:
    """README.md, with the front matter that the Hub reads."""
    spec = told.spec
    sections = [
        f"# {spec.name or spec.output.model or method_of(spec)}",
        _summary(told),
        _figures(told),
        _data(told),
        _inputs(told),
        _limits(told),
        _use(told),
        f"## Specification\n\n```yaml\n{yaml.safe_dump(document_of(spec), sort_keys=False, allow_unicode=True)}```",
    ]
    front = yaml.safe_dump(_front_matter(told), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(told: Told) -> dict[str, Any]:
    method = method_of(told.spec)
    fields: dict[str, Any] = {"tags": ["craton", method]}
    if told.manifest is not None and told.manifest.loader in _LIBRARIES:
        fields["library_name"] = _LIBRARIES[told.manifest.loader]
    if method in PIPELINES:
        fields["pipeline_tag"] = PIPELINES[method]
    if isinstance(told.spec, Transfer):
        fields["base_model"] = told.spec.base.partition("@")[0]
        tuned = told.trained.predictor is None  # the encoder itself
        fields["pipeline_tag"] = "sentence-similarity" if tuned else "text-classification"
        if tuned:
            fields["library_name"] = "sentence-transformers"
    if told.dataset.startswith("datasets/"):
        fields["datasets"] = [told.dataset.removeprefix("datasets/").partition("@")[0]]
    if told.trained.metrics:
        fields["metrics"] = sorted(told.trained.metrics)
        fields["model-index"] = [_index_entry(told, method)]
    return fields


def _index_entry(told: Told, method: str) -> dict[str, Any]:
    """As the Hub's model-index has it."""
    figures = [{"type": name, "value": float(value)} for name, value in sorted(told.trained.metrics.items())]
    named = told.dataset.removeprefix("datasets/").partition("@")[0]
    result = {
        "task": {"type": PIPELINES.get(method, method)},
        "dataset": {"type": named, "name": named},
        "metrics": figures,
    }
    return {"name": told.spec.output.model or told.spec.name or method, "results": [result]}


def _summary(told: Told) -> str:
    spec, tables = told.spec, told.tables
    what = f"Trained by {method_of(spec)} with `{spec.model.use}`"
    if tables is not None and tables.target is not None:
        what += f": it predicts `{tables.target.name}`"
        if tables.target.categories:
            some = ", ".join(f"`{category}`" for category in tables.target.categories[:10])
            what += f" ({some}{', ...' if len(tables.target.categories) > 10 else ''})"
    return f"{what}. Run `{told.run}`."


def _figures(told: Told) -> str:
    if not told.trained.metrics:
        return "## How good it is\n\nNothing was measured."
    lines = [f"| {name} | {value:.6g} |" for name, value in sorted(told.trained.metrics.items())]
    held_out = 0 if told.tables is None else len(told.tables.test)
    held = f"On {held_out:,} held-out rows:\n\n" if held_out else ""
    pictures = [f"![{figure.title}](report/{figure.name}.png)" for figure in told.trained.figures]
    shown = "\n\n" + "\n\n".join(pictures) if pictures else ""
    return f"## How good it is\n\n{held}| figure | value |\n|---|---|\n" + "\n".join(lines) + shown


def _data(told: Told) -> str:
    if told.tables is None:
        assert isinstance(told.spec, Reinforcement)
        return f"## Environment\n\n`{told.spec.environment}`"
    counts = {"train": told.tables.train, "validation": told.tables.validation, "test": told.tables.test}
    rows = ", ".join(f"{len(frame):,} {name}" for name, frame in counts.items() if len(frame))
    return f"## Data\n\n`{told.dataset}`: {rows} rows."


def _inputs(told: Told) -> str:
    if told.manifest is None:
        return ""
    fields = told.manifest.signature.inputs
    lines = [f"| `{_plain(field.name)}` | {_kind(field)} |" for field in fields[:MOST_FIELDS]]
    rest = f"\n\n{len(fields) - MOST_FIELDS:,} more in model.json." if len(fields) > MOST_FIELDS else ""
    return "## Inputs\n\n| column | kind |\n|---|---|\n" + "\n".join(lines) + rest


def _kind(field: Field) -> str:
    words: str = field.kind
    if field.kind == "category":
        words += f" of {len(field.categories):,}"
    elif field.shape and field.kind != "text":
        words += " " + " x ".join(str(length) for length in field.shape)
    if field.embedder:
        words += f", embedded by {field.embedder.partition('@')[0]}"
    return words + (", may be missing" if field.nullable else "")


def _limits(told: Told) -> str:
    said = [*told.trained.notes, *told.warnings]
    if told.tables is not None:
        said.append("It knows only what its training rows showed: rows that look otherwise get answers all the same.")
    return "## Limits\n\n" + "\n".join(f"- {' '.join(sentence.split())}" for sentence in said) if said else ""


def _use(told: Told) -> str:
    name = told.spec.output.model
    if not name or told.manifest is None or not (told.manifest.signature.inputs and told.manifest.signature.outputs):
        return ""
    return f"## Use\n\n```sh\ncraton predict {name} rows.csv\n```"


def _plain(name: str) -> str:
    """In a table's cell."""
    return " ".join(name.replace("|", "/").replace("`", "'").split())
