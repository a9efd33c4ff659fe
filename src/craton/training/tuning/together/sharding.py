"""A model of which each process holds a part: fully sharded data parallelism (Zhao et al., 2023, arXiv 2304.11277).

By torch's `fully_shard`, wrapped around layers by accelerate's plugin. accelerate's own `Accelerator` shards on GPUs
alone, so its functions are called with what they read of one. A helper makes the model without weights, from its
configuration: the leader is the only one who reads them.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from craton.core.errors import Unsupported
from craton.training.specification.tuning import Lora, TextFit
from craton.training.tuning.attention import Segments
from craton.training.tuning.lora import adapted

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from craton.training.tuning.together.group import Group

DIMENSION = "processes"
WRAPPED = "_checkpoint_wrapped_module."


def described(model: Any) -> bytes:
    """Its configuration, of a model before it is adapted."""
    return str(model.config.to_json_string(use_diff=False)).encode()


def hollow(config: bytes, lora: Lora | None, segments: Segments | None = None) -> Any:
    """The model that is described, without its weights."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    said = json.loads(config)
    family = said.pop("model_type")
    models: Any = AutoModelForCausalLM
    with init_empty_weights(include_buffers=False):
        model = models.from_config(AutoConfig.for_model(family, **said))
        model.tie_weights()
        if segments is not None:
            segments.attach(model)
        return model if lora is None else adapted(model, lora)


def sharded(model: Any, fit: TextFit, group: Group) -> Any:
    """All processes at once; the leader's weights are shared out. The model that is given cannot be used any more.

    Raises Unsupported for architectures that cannot be shared out."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_apply_ac, fsdp2_prepare_model
    from torch.distributed.device_mesh import init_device_mesh

    _check(model)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        reshard_after_forward=True,
        cpu_ram_efficient_loading=True,
        activation_checkpointing=fit.checkpointing,
        mixed_precision_policy=_precision(fit),
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=init_device_mesh(group.device.type, (group.size,), mesh_dim_names=(DIMENSION,)),
        parallelism_config=SimpleNamespace(fsdp_dim_names=[DIMENSION]),
        mixed_precision="no",  # weights are float32 already
        is_main_process=group.rank == 0,
        device=group.device,
    )
    if fit.checkpointing:
        plugin.set_auto_wrap_policy(model)
        model = fsdp2_apply_ac(accelerator, model)
    return fsdp2_prepare_model(accelerator, model)


def named(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """By the names that they had before the model was sharded."""
    return {name.replace(WRAPPED, ""): value for name, value in weights.items()}


def whole(part: Any) -> Tensor:
    """All processes at once: what is a part here, on the CPU."""
    found: Tensor = part.detach().full_tensor().cpu()
    return found


def scattered(values: Tensor | None, like: Any) -> Any:
    """All processes at once: the leader's values in parts as those of `like` are. values: None in a helper."""
    import torch
    from torch.distributed.tensor import distribute_tensor

    device = like.device_mesh.device_type
    full = torch.empty(like.shape, dtype=like.dtype, device=device) if values is None else values.to(device, like.dtype)
    return distribute_tensor(full, like.device_mesh, like.placements)


def filled(model: Any, weights: dict[str, Tensor]) -> Any:
    """A hollow model with the weights that learned."""
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    return model


def _precision(fit: TextFit) -> torch.distributed.fsdp.MixedPrecisionPolicy | None:
    """Weights travel as they are computed with; gradients are added in float32."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy

    half = fit.precision == "bfloat16"
    return MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if half else None


def _check(model: Any) -> None:
    layers = {type(part).__name__ for part in model.modules()}
    kept = set(model.state_dict()) - {name for name, _ in model.named_parameters(remove_duplicate=False)}
    if kept or not layers & set(getattr(model, "_no_split_modules", None) or ()):
        raise Unsupported(f"Tuning {model.config.model_type} by several processes", "Leave train.processes at 1.")
