"""Low-rank adapters over a model: Hu et al., "LoRA", 2021 (arXiv 2106.09685), by PEFT."""

from __future__ import annotations

from typing import Any

from craton.core.errors import InvalidRequest
from craton.training.specification.tuning import Lora

SHARE = 0.05  # of the base's weights that an adapter has at most, as a guess before the model is there


def adapter_size(parameters: int) -> int:
    return round(SHARE * parameters)


def adapted(model: Any, lora: Lora) -> Any:
    """The base's weights stand still. Raises InvalidRequest when it has none of the parts."""
    from peft import get_peft_model

    return get_peft_model(model, config_of(model, lora))


def config_of(model: Any, lora: Lora) -> Any:
    """As PEFT has it. Raises InvalidRequest."""
    from peft import LoraConfig
    from torch import nn

    linear = {name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    wanted = [name for name in lora.modules if name in linear]
    missing = sorted(set(lora.modules) - linear)
    if missing:
        there = ", ".join(sorted(linear - {"lm_head"})) or "none that are linear layers: use `tune: full`"
        raise InvalidRequest(f"the base has no {', '.join(missing)}; there are {there}", "lora.modules")
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.rank,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=wanted,
        task_type="CAUSAL_LM",
    )
