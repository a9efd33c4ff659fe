"""The state of an algorithm in one safetensors file: networks, optimizers, counters, what was played.

No state of random numbers and environments: every stretch of the training begins with generators seeded and
environments reset by its number, so a stretch that is played again is the same.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from craton.core.errors import Damaged

FILE = "policy-checkpoint.safetensors"
COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_n_calls",
    "exploration_rate",
    "_current_progress_remaining",
)
PLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@dataclass(slots=True)
class Stretches:
    """How far a training is. done: stretches; best: the highest mean reward of an evaluation so far; curves: name ->
    (step, value); solved: at which step, 0 when it is not."""

    settings: str = ""
    done: int = 0
    best: float | None = None
    solved: int = 0
    curves: dict[str, list[list[float]]] = field(default_factory=dict)


def save(folder: Path, stretches: Stretches, model: Any, best: dict[str, Any]) -> None:
    """best: the policy's tensors at its best evaluation. Raises OSError on a full disk; the earlier file stays."""
    import torch
    from safetensors.torch import save_file

    tensors = {f"best.{name}": value for name, value in best.items()}
    skeleton = _flatten("state", model.get_parameters(), tensors)
    for name in model._get_torch_save_params()[1]:
        if (value := getattr(model, name, None)) is not None:
            tensors[f"variable.{name}"] = value
    said: dict[str, Any] = {"stretches": asdict(stretches), "skeleton": skeleton}
    said["counters"] = {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)}
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        filled = buffer.buffer_size if buffer.full else buffer.pos
        said["buffer"] = {"pos": buffer.pos, "full": buffer.full}
        for name in PLAYED:
            tensors[f"played.{name}"] = torch.from_numpy(getattr(buffer, name)[:filled])
    path = folder / FILE
    written = path.with_suffix(".new")
    whole = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    save_file(whole, written, metadata={"state": json.dumps(said)})
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)


def load(folder: Path, settings: str, model: Any) -> tuple[Stretches, dict[str, Any]] | None:
    """Puts a saved state into the model. None when there is none of these settings. Raises Damaged."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        stretches = Stretches(**said["stretches"])
        if stretches.settings != settings:
            return None
        model.set_parameters(_filled(said["skeleton"], tensors), exact_match=True, device="cpu")
        for name in model._get_torch_save_params()[1]:
            if f"variable.{name}" in tensors:
                getattr(model, name).data.copy_(tensors[f"variable.{name}"])
        for name, value in said["counters"].items():
            setattr(model, name, value)
        buffer = getattr(model, "replay_buffer", None)
        if buffer is not None:
            buffer.pos, buffer.full = said["buffer"]["pos"], said["buffer"]["full"]
            for name in PLAYED:
                played = tensors[f"played.{name}"].numpy()
                getattr(buffer, name)[: len(played)] = played
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise Damaged("the checkpoint", "it cannot be read; start a new run") from error
    return stretches, {name.removeprefix("best."): one for name, one in tensors.items() if name.startswith("best.")}


def _flatten(place: str, value: Any, tensors: dict[str, Any]) -> Any:
    """The value as JSON, with the names of its tensors in their places. Keys that are numbers are kept apart."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, dict):
        pairs = [[key, _flatten(f"{place}.{key}", one, tensors)] for key, one in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        items = [_flatten(f"{place}.{number}", one, tensors) for number, one in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    return value


def _filled(value: Any, tensors: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "pairs" in value:
        return {key: _filled(one, tensors) for key, one in value["pairs"]}
    if "tuple" in value:
        return tuple(_filled(one, tensors) for one in value["tuple"])
    return [_filled(one, tensors) for one in value["list"]]
