"""What an encoder in safetensors is for: vectors, labels, or the words behind masks; or why it cannot be run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from craton.core.model import Verb
from craton.formats.safetensors import SafetensorsHeader

FAMILIES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
"""model_type -> how the names of its architectures begin."""

HEADS: dict[str, Verb] = {"ForSequenceClassification": "classify", "ForMaskedLM": "fill"}
_SIZES = {"distilbert": ("dim", "n_layers", "n_heads")}
_USUAL = ("hidden_size", "num_hidden_layers", "num_attention_heads")


def sizes(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """What config.json calls its width, its layers and their heads."""
    return _SIZES.get(str(config.get("model_type")), _USUAL)


def task_of(config: Mapping[str, Any], paths: Collection[str]) -> tuple[Verb | None, str]:
    """The verb, or None and the reason. A sentence-transformers model embeds, whatever it was trained as."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        kinds = ", ".join(FAMILIES)
        return None, f"of safetensors models only encoders ({kinds}) are served, not {_shown(config.get('model_type'))}"
    named = config.get("architectures")
    if not named or "modules.json" in paths:
        return "embed", ""
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        return None, "its architectures are not one name"
    head = named[0].removeprefix(family) if named[0].startswith(family) else named[0]
    if head == "Model":
        return "embed", ""
    if head in HEADS:
        return HEADS[head], ""
    return None, f"encoders with this head are not served: {_shown(named[0])}"


def why_not(config: Mapping[str, Any], paths: Collection[str], weights: Mapping[str, SafetensorsHeader]) -> str:
    """Why the files of an encoder cannot be loaded; "" when they can."""
    if "tokenizer.json" not in paths:
        return "it has no tokenizer.json"
    if set(weights) != {"model.safetensors"}:
        return "its weights are not one model.safetensors"
    prefix = f"{config.get('model_type')}."
    shapes = {tensor.name.removeprefix(prefix): tensor.shape for tensor in weights["model.safetensors"].tensors}
    expected = (config.get("vocab_size"), config.get(sizes(config)[0]))
    if shapes.get("embeddings.word_embeddings.weight") != expected:
        return "its embeddings do not have the shape that config.json says"
    return ""


def _shown(value: object) -> str:
    return repr(str(value)[:60])
