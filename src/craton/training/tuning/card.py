"""The card of a tuned model, written from the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from craton.training.protocol import Trained
from craton.training.specification.reading import document_of, method_of
from craton.training.specification.tuning import Pretraining, Tuned
from craton.training.tuning.sources import Pinned


def write_card(folder: Path, spec: Tuned, trained: Trained, pinned: Pinned, run: str, warnings: Sequence[str]) -> None:
    """README.md, with the front matter that the Hub reads."""
    front = yaml.safe_dump(_front_matter(folder, spec, trained, pinned), sort_keys=False, allow_unicode=True)
    sections = "\n\n".join(_sections(spec, trained, pinned, run, warnings))
    (folder / "README.md").write_text(f"---\n{front}---\n\n{sections}\n", "utf-8")


def _front_matter(folder: Path, spec: Tuned, trained: Trained, pinned: Pinned) -> dict[str, Any]:
    adapter = (folder / "adapter_config.json").is_file()
    fields: dict[str, Any] = {
        "tags": ["craton", method_of(spec)],
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
    }
    if pinned.base:
        fields["base_model"] = pinned.base.partition("@")[0]
        fields["base_model_relation"] = "adapter" if adapter else "finetune"
    if pinned.data.startswith("datasets/"):
        fields["datasets"] = [pinned.data.removeprefix("datasets/").partition("@")[0]]
    if trained.metrics:
        fields["metrics"] = sorted(trained.metrics)
    return fields


def _sections(spec: Tuned, trained: Trained, pinned: Pinned, run: str, warnings: Sequence[str]) -> Iterator[str]:
    yield f"# {spec.name or spec.output.model or method_of(spec)}"
    what = "from nothing" if isinstance(spec, Pretraining) else f"of `{pinned.base}`"
    yield f"Made by {method_of(spec)} {what}, on `{pinned.data}`. Run `{run}`."
    if trained.metrics:
        rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(trained.metrics.items()))
        yield f"## How good it is\n\nOn what was held out:\n\n| figure | value |\n|---|---|\n{rows}"
    else:
        yield "## How good it is\n\nNothing was measured."
    for figure in trained.figures:
        yield f"![{figure.title}](report/{figure.name}.png)"
    said = [*trained.notes, *warnings]
    if said:
        yield "## Limits\n\n" + "\n".join(f"- {' '.join(sentence.split())}" for sentence in said)
    if spec.output.model:
        yield f"## Use\n\n```sh\ncraton chat {spec.output.model}\n```"
    document = yaml.safe_dump(document_of(spec), sort_keys=False, allow_unicode=True)
    yield f"## Specification\n\n```yaml\n{document}```"
