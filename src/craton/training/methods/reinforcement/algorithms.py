"""What a specification's `model` becomes in stable-baselines3.

PPO: Schulman et al., 2017 (arXiv 1707.06347). DQN: Mnih et al., 2015. SAC: Haarnoja et al., 2018 (arXiv 1801.01290).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from craton.core.errors import InvalidRequest, Unsupported
from craton.engines.predictor.policies import Algorithm, Policy, PolicyShape, keywords
from craton.engines.predictor.spaces import Box, Discrete, describe
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import gymnasium

ALGORITHMS = ("ppo", "dqn", "sac")
OWN = {"n_envs", "policy", "policy_kwargs"}
"""Parameters that are read here and not handed on as they are."""
HIDDEN = {
    "self",
    "env",
    "verbose",
    "device",
    "seed",
    "tensorboard_log",
    "_init_setup_model",
    "stats_window_size",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "action_noise",
    "monitor_wrapper",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """params: the library's own. count: of environments that are played at once."""

    policy: Policy
    params: dict[str, Any]
    count: int

    def model(self, environments: Any, seed: int) -> Any:
        """Raises InvalidRequest for parameters that the library refuses."""
        try:
            return _class(self.policy.algorithm)(
                self.policy.kind,
                environments,
                policy_kwargs=keywords(self.policy.shape),
                seed=seed,
                device="cpu",
                **self.params,
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise InvalidRequest(str(error)[:300], "model.params") from error


def choose(use: str, params: dict[str, Any], environment: gymnasium.Env[Any, Any]) -> Chosen:
    """Raises InvalidRequest, Unsupported."""
    if use not in ALGORITHMS:
        raise InvalidRequest(unknown("algorithm", use, ALGORITHMS), "model.use")
    algorithm = cast("Algorithm", use)
    known = (set(inspect.signature(_class(algorithm).__init__).parameters) - HIDDEN) | OWN
    for name in params:
        if name not in known:
            raise InvalidRequest(unknown("parameter", name, known), f"model.params.{name}")
    actions = describe(environment.action_space)
    if use == "dqn" and not isinstance(actions, Discrete):
        raise Unsupported("dqn with actions that are not a choice of a few", "Use ppo or sac.")
    if use == "sac" and not isinstance(actions, Box):
        raise Unsupported("sac with actions that are not numbers", "Use ppo or dqn.")
    kind = params.get("policy", "MlpPolicy")
    if kind not in {"MlpPolicy", "CnnPolicy"}:
        raise InvalidRequest(unknown("policy", str(kind), ["MlpPolicy", "CnnPolicy"]), "model.params.policy")
    count = params.get("n_envs", 1)
    if type(count) is not int or not 1 <= count <= 64:
        raise InvalidRequest("from 1 to 64", "model.params.n_envs")
    policy = Policy(algorithm, kind, describe(environment.observation_space), actions, _shape(params))
    return Chosen(policy, {name: value for name, value in params.items() if name not in OWN}, count)


def _shape(params: dict[str, Any]) -> PolicyShape:
    """`policy_kwargs`, of which JSON can say the sizes of the layers and the activation's name."""
    given = params.get("policy_kwargs", {})
    names = {"net_arch": "layers", "activation_fn": "activation"}
    if not isinstance(given, dict):
        raise InvalidRequest("a mapping", "model.params.policy_kwargs")
    for name in given:
        if name not in names:
            raise InvalidRequest(unknown("parameter", name, names), f"model.params.policy_kwargs.{name}")
    try:
        return msgspec.convert({names[name]: value for name, value in given.items()}, PolicyShape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "model.params.policy_kwargs") from error


def _class(algorithm: Algorithm) -> Any:
    from stable_baselines3 import DQN, PPO, SAC

    classes: dict[Algorithm, Any] = {"ppo": PPO, "dqn": DQN, "sac": SAC}
    return classes[algorithm]
