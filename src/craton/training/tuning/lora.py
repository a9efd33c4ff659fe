"""Low-rank adapters over a model: Hu et al., "LoRA", 2021 (arXiv 2106.09685), by PEFT."""

from __future__ import annotations

from typing import Any

from craton.core.errors import InvalidRequest
from craton.training.specification.tuning import LINEAR, Lora

SHARE = 0.05  # of the base's weights that an adapter has at most, as a guess before the model is there
_SERVED = {"deepseek_v2": ("o_proj",), "deepseek_v3": ("o_proj",)}
"""Families of which llama.cpp applies adapters to some parts alone (engines/llama_cpp/layouts.py): to no experts, and
to none of the parts that make queries, keys and values from latent vectors."""


def adapter_size(parameters: int) -> int:
    return round(SHARE * parameters)


def adapted(model: Any, lora: Lora) -> Any:
    """The base's weights stand still. Raises InvalidRequest when it has none of the parts."""
    from peft import get_peft_model

    return get_peft_model(model, config_of(model, lora))


def config_of(model: Any, lora: Lora) -> Any:
    """As PEFT has it. Raises InvalidRequest."""
    from peft import LoraConfig

    found = _parts(model)
    usual = _usual(model, found)
    wanted = usual if lora.modules == LINEAR else list(lora.modules)
    missing = sorted(set(wanted) - found)
    if missing or not wanted:
        there = ", ".join(sorted(found)) or "none that are linear layers: use `tune: full`"
        raise InvalidRequest(f"the base has no {', '.join(missing or LINEAR)}; there are {there}", "lora.modules")
    unserved = sorted(set(wanted) - set(usual))
    if unserved and model.config.model_type in _SERVED:
        raise InvalidRequest(
            f"an adapter over {', '.join(unserved)} of a {model.config.model_type} would not be applied when it is "
            f"served: leave them out ({', '.join(usual)}), or use `tune: full`",
            "lora.modules",
        )
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.rank,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=wanted,
        fan_in_fan_out=model.config.model_type == "gpt2",
        task_type="CAUSAL_LM",
    )


def _parts(model: Any) -> set[str]:
    """The last names of the linear parts of its layers. In a model of experts those of dense layers are left out, for
    PEFT takes their names for the experts' (peft `utils/transformers_weight_conversion.py`)."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found = {name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, nn.Linear | Conv1D)}
    if any(".experts." in name for name, _ in model.named_parameters()):
        found -= {"gate_proj", "up_proj", "down_proj"}
    return found - {"lm_head", "embed_out"}


def _usual(model: Any, found: set[str]) -> list[str]:
    family = model.config.model_type
    if family in _SERVED:
        return [name for name in _SERVED[family] if name in found]
    return [name for name in LINEAR if name in found] or sorted(found)
