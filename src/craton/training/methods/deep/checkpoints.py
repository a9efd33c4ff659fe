"""The state of a training in one file that is there whole or not at all: tensors as safetensors, the rest as JSON in
its header. What is loaded goes on bit for bit as what was saved."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from craton.core.errors import Damaged

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

FILE = "checkpoint.safetensors"


class Stateful(Protocol):
    """As torch's optimizers have it."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class Position:
    """Where a training is. step: batches done in this epoch. loss: their sum. best: the lowest validation loss so far,
    of the epoch best_epoch. history: a line for each epoch that is done. settings: of the run, so that another run's
    file is never taken for it."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    settings: str = ""


class Checkpoints:
    """One file in the run's folder."""

    def __init__(self, folder: Path, name: str = FILE) -> None:
        self._path = folder / name

    def save(
        self,
        position: Position,
        model: Mapping[str, torch.Tensor],
        best: Mapping[str, torch.Tensor] | None,
        optimizer: Stateful,
        generators: Mapping[str, torch.Tensor],
    ) -> None:
        """generators: the states of the random numbers. Raises OSError on a full disk; the earlier file stays."""
        from safetensors.torch import save_file

        state = optimizer.state_dict()
        tensors = {f"model.{name}": value for name, value in model.items()}
        tensors |= {f"best.{name}": value for name, value in (best or {}).items()}
        tensors |= {f"random.{name}": value for name, value in generators.items()}
        for number, values in state["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        said = {"position": asdict(position), "groups": state["param_groups"]}
        written = self._path.with_suffix(".new")
        save_file(
            {name: value.detach().contiguous().clone() for name, value in tensors.items()},
            written,
            metadata={"state": json.dumps(said)},
        )
        with written.open("rb+") as file:
            os.fsync(file.fileno())
        written.replace(self._path)

    def load(self, settings: str) -> tuple[Position, Tensors, list[dict[str, Any]]] | None:
        """The position, the tensors by their names above, the optimizer's groups. None when there is nothing of a run
        with these settings. Raises Damaged."""
        if not self._path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="pt") as file:
                said = json.loads((file.metadata() or {})["state"])
                position = Position(**said["position"])
                if position.settings != settings:
                    return None
                return position, {name: file.get_tensor(name) for name in file.keys()}, said["groups"]  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise Damaged("the checkpoint", "it cannot be read; start a new run") from error

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def part(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def restore_optimizer(optimizer: Stateful, tensors: Tensors, groups: list[dict[str, Any]]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in part(tensors, "optimizer").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    for group in groups:  # JSON has no tuples
        if isinstance(group.get("betas"), list):
            group["betas"] = tuple(group["betas"])
    optimizer.load_state_dict({"state": state, "param_groups": groups})
