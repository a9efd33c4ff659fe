"""What encoders are for, told by their configuration; and what of them is refused, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from craton.core.repo import RepoId
from craton.hub.importing import Importer
from craton.hub.local import import_path
from craton.hub.models import Models
from craton.hub.repositories import Hub

REPO = RepoId("model", "acme", "tiny")


def described(hub: Hub, folder: Path, change: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    info = import_path(Importer(Models(hub), "t"), folder, REPO).info
    return info.verbs, (info.details or {}).get("refused", "")


@pytest.mark.parametrize(
    ("architecture", "verb"),
    [
        (None, "embed"),
        ("BertModel", "embed"),
        ("BertForSequenceClassification", "classify"),
        ("BertForMaskedLM", "fill"),
    ],
)
def test_the_architecture_says_what_it_is_for(
    local_hub: Hub, bert_folder: Path, architecture: str | None, verb: str
) -> None:
    (bert_folder / "modules.json").unlink(missing_ok=True)
    assert described(local_hub, bert_folder, {"architectures": architecture and [architecture]}) == ((verb,), "")


def test_a_sentence_transformer_embeds_whatever_it_was_trained_as(local_hub: Hub, bert_folder: Path) -> None:
    (bert_folder / "modules.json").write_text("[]")
    assert described(local_hub, bert_folder, {"architectures": ["BertForMaskedLM"]}) == (("embed",), "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architectures": ["BertForTokenClassification"]}, "this head are not served: 'BertForTokenClassification'"),
        ({"architectures": ["RobertaForSequenceClassification"]}, "not served: 'RobertaForSequenceClassification'"),
        ({"architectures": ["BertModel", "BertForMaskedLM"]}, "not one name"),
        ({"architectures": "BertModel"}, "not one name"),
        ({"model_type": "deberta-v2"}, "not 'deberta-v2'"),
    ],
)
def test_other_heads_are_kept_with_the_reason(
    local_hub: Hub, bert_folder: Path, change: dict[str, Any], reason: str
) -> None:
    (bert_folder / "modules.json").unlink(missing_ok=True)
    verbs, refused = described(local_hub, bert_folder, change)
    assert verbs == ()
    assert reason in refused
