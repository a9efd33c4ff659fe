"""Policies of stable-baselines3: the weights as safetensors, the spaces as JSON. Its own files hold pickles, and are
neither written nor read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from craton.core.errors import Damaged
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.spaces import Space, build, field

if TYPE_CHECKING:
    import pandas as pd

    from craton.engines.predictor.protocol import Column

WEIGHTS, POLICY = "policy.safetensors", "policy.json"
OBSERVATION, ACTION = "observation", "action"
MAX_JSON = 16 * 1024 * 1024
BATCH = 1024

Algorithm = Literal["ppo", "dqn", "sac"]
Activation = Literal["tanh", "relu", "elu", "leaky-relu"]
Sizes = Annotated[list[Annotated[int, Meta(ge=1, le=16384)]], Meta(max_length=32)]


class PolicyShape(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a policy's networks are made of. layers: None for the library's own; by part ("pi", "vf") or for all."""

    layers: Sizes | dict[Literal["pi", "vf", "qf"], Sizes] | None = None
    activation: Activation | None = None


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """policy.json. kind: the library's name for it ("MlpPolicy")."""

    algorithm: Algorithm
    kind: Literal["MlpPolicy", "CnnPolicy"]
    observations: Space
    actions: Space
    shape: PolicyShape = PolicyShape()


def keywords(shape: PolicyShape) -> dict[str, Any]:
    """The library's `policy_kwargs`."""
    from torch import nn

    kinds = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "leaky-relu": nn.LeakyReLU}
    found: dict[str, Any] = {}
    if shape.layers is not None:
        found["net_arch"] = shape.layers
    if shape.activation is not None:
        found["activation_fn"] = kinds[shape.activation]
    return found


def policy_class(algorithm: Algorithm, kind: str) -> Any:
    from stable_baselines3 import DQN, PPO, SAC

    classes: dict[str, Any] = {"ppo": PPO, "dqn": DQN, "sac": SAC}
    return classes[algorithm].policy_aliases[kind]


def signature(policy: Policy) -> Signature:
    return Signature((field(OBSERVATION, policy.observations),), {"act": (field(ACTION, policy.actions),)})


class PolicyPredictor:
    """The action that the policy holds for the best one; never drawn by chance."""

    def __init__(self, policy: Policy, module: Any) -> None:
        """module: the library's policy, trained or loaded."""
        self._policy, self._module = policy, module
        self._signature = signature(policy)

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Column]:
        import numpy as np

        space = self._module.observation_space
        seen = [np.asarray(value, dtype=np.float64).reshape(space.shape) for value in rows[OBSERVATION]]
        if not seen:
            return {ACTION: np.empty((0, *self._module.action_space.shape))}
        observations = np.stack(seen).astype(space.dtype)
        parts = [
            self._module.predict(observations[start : start + BATCH], deterministic=True)[0]
            for start in range(0, len(observations), BATCH)
        ]
        return {ACTION: np.concatenate(parts)}

    def save(self, folder: Path) -> dict[str, Any]:
        from safetensors.torch import save_file

        tensors = {name: value.contiguous().clone() for name, value in self._module.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        (folder / POLICY).write_bytes(msgspec.json.format(msgspec.json.encode(self._policy)))
        return {}

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> PolicyPredictor:
        """Raises Damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = folder / POLICY
        try:
            if path.stat().st_size > MAX_JSON:
                raise Damaged(POLICY, f"it is larger than {MAX_JSON:,} bytes")
            policy = msgspec.json.decode(path.read_bytes(), type=Policy)
            if signature(policy) != manifest.signature:
                raise Damaged(POLICY, "it does not take what the signature says")
            module = make_module(policy)
            module.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, msgspec.DecodeError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
            raise Damaged(POLICY, "it does not fit its weights") from error
        return cls(policy, module.eval())


def make_module(policy: Policy) -> Any:
    """The networks, not yet trained."""
    kind = policy_class(policy.algorithm, policy.kind)
    return kind(build(policy.observations), build(policy.actions), lambda _: 0.0, **keywords(policy.shape))
