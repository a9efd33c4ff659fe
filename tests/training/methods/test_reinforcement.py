"""Policies: learned, kept without pickle, resumed to the same numbers; and environments that misbehave."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, NotFound, Unsupported
from craton.training.specification.methods import Reinforcement
from craton.training.specification.parts import Model
from tests.training.memory import MemoryRun, saved_and_loaded

pytest.importorskip("stable_baselines3")
gymnasium = pytest.importorskip("gymnasium")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from craton.training.methods.reinforcement import remote  # noqa: E402
from craton.training.methods.reinforcement.training import train  # noqa: E402

PPO = {"n_steps": 64, "batch_size": 64, "n_epochs": 2, "n_envs": 2}
DQN = {"learning_starts": 50, "buffer_size": 500, "train_freq": 4, "policy_kwargs": {"net_arch": [16]}}
SAC = {
    "learning_starts": 50,
    "buffer_size": 500,
    "train_freq": 10,
    "policy_kwargs": {"net_arch": [16], "activation_fn": "elu"},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def spec(environment: str, use: str, params: dict[str, Any], steps: int, **others: Any) -> Reinforcement:
    return Reinforcement(environment=environment, model=Model(use, params), steps=steps, episodes=2, **others)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "use", "params"),
    [("CartPole-v1", "ppo", PPO), ("CartPole-v1", "dqn", DQN), ("Pendulum-v1", "sac", SAC)],
)
def test_policies_act_the_same_after_a_reload(environment: str, use: str, params: Any, tmp_path: Path) -> None:
    run = MemoryRun(tmp_path)
    trained = train(spec(environment, use, params, 300), None, run)
    predictor: Any = trained.predictor
    loaded = saved_and_loaded(predictor, tmp_path / "artifact", "reinforcement")
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"observation": list(draw.normal(size=(500, *predictor.signature.inputs[0].shape)))})
    ours, theirs = (one.run("act", rows)["action"] for one in (predictor, loaded))
    assert (ours == theirs).all()
    assert len(ours) == 500
    assert not [path for path in (tmp_path / "artifact").rglob("*") if path.suffix in {".zip", ".pkl", ".pth"}]
    assert run.curves["evaluation_reward"]
    assert "reward" in trained.metrics
    assert [figure.name for figure in trained.figures] == ["reward", "episode"]


class Killed(Exception):
    """What a killed process would have been."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "use", "params"),
    [("CartPole-v1", "ppo", PPO), ("CartPole-v1", "dqn", DQN), ("Pendulum-v1", "sac", SAC)],
)
def test_a_run_that_was_cut_off_comes_to_the_same_end(environment: str, use: str, params: Any, tmp_path: Path) -> None:
    asked = spec(environment, use, params, 260)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = MemoryRun(tmp_path / "whole")
    expected = train(asked, None, whole)
    count = 0

    def stop() -> None:
        nonlocal count
        count += 1
        if count == 200:
            raise Killed

    with pytest.raises(Killed):
        train(asked, None, MemoryRun(tmp_path / "cut", stop=stop))
    cut = MemoryRun(tmp_path / "cut")
    found = train(asked, None, cut)
    assert any("goes on after" in line for line in cut.lines)
    assert dict(cut.curves) == dict(whole.curves)
    assert found.metrics == expected.metrics
    ours: Any = found.predictor
    theirs: Any = expected.predictor
    for name, value in ours._module.state_dict().items():
        assert (value == theirs._module.state_dict()[name]).all(), name


def test_a_solved_environment_ends_the_run(tmp_path: Path) -> None:
    run = MemoryRun(tmp_path)
    trained = train(spec("CartPole-v1", "ppo", PPO, 4000, solved=5.0), None, run)
    assert trained.metrics["solved"] == 1.0
    assert any("solved after" in line for line in run.lines)
    assert run.curves["evaluation_reward"][-1][0] < 4000


LINE = """
import gymnasium, numpy as np
from gymnasium import spaces

class Environment(gymnasium.Env):
    \"\"\"Walk to the right end of a line.\"\"\"
    observation_space = spaces.Box(0, 10, (1,), np.float32)
    action_space = spaces.Discrete(2)
    reward_threshold = 0.5

    def __init__(self, length=5, fault="", render_mode=None):
        self.length, self.fault, self.place, self.steps = length, fault, 0, 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 20 and self.fault:
            self.misbehave()
        self.place = max(0, self.place + (1 if action else -1))
        over = self.place >= self.length
        bad = self.steps > 20 and self.fault == "nan"
        reward = 1.0 if over else -0.05
        return np.array([np.nan if bad else self.place], np.float32), reward, over, self.steps % 50 == 0, {}

    def misbehave(self):
        import os, socket, time
        if self.fault == "raise":
            raise RuntimeError("the wall fell down")
        if self.fault == "exit":
            print("leaving", flush=True)
            os._exit(3)
        if self.fault == "hang":
            time.sleep(100)
        if self.fault == "memory":
            np.ones((1 << 40) // 8)
        if self.fault == "keys" and any("KEY" in name or "TOKEN" in name for name in os.environ):
            raise RuntimeError("keys!")

    def render(self):
        frame = np.zeros((20, 60, 3), np.uint8)
        frame[:, self.place * 10 : self.place * 10 + 10] = 255
        return frame
"""


def own(tmp_path: Path, **others: Any) -> tuple[Reinforcement, MemoryRun]:
    """A space of the tenant's own with the environment above."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "environment.py").write_text(LINE)
    asked = spec("spaces/acme/line@main", "ppo", {"n_steps": 64, "n_epochs": 2}, 256, **others)
    return asked, MemoryRun(tmp_path, repositories={"space:spaces/acme/line@main": folder})


def test_an_environment_of_ones_own_runs_in_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRATON_SECRET_KEY", "must not be seen")
    asked, run = own(tmp_path, trust_code=True, environment_params={"length": 3, "fault": "keys"})
    trained = train(asked, None, run)
    assert run.curves["evaluation_reward"]
    assert trained.figures[-1].name == "episode"
    assert trained.figures[-1].png.startswith(b"\x89PNG")
    saved_and_loaded(trained.predictor, tmp_path / "artifact", "reinforcement")


def test_code_runs_only_when_it_is_trusted(tmp_path: Path) -> None:
    asked, run = own(tmp_path)
    with pytest.raises(InvalidRequest, match="trust_code: true"):
        train(asked, None, run)
    with pytest.raises(NotFound):
        train(spec("spaces/acme/other", "ppo", {}, 10, trust_code=True), None, run)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise", "failed at step 20: RuntimeError: the wall fell down"),
        ("exit", "crashed at step 20: its process ended with exit code 3; it said: leaving"),
        ("hang", "gave no answer at step 20 within 1 seconds"),
        ("nan", "is not finite"),
        ("memory", "failed at step 20: .*Memory"),
    ],
)
def test_what_an_environment_does_wrong_is_said(
    fault: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "STEP_SECONDS", 1.0 if fault == "hang" else 60.0)
    asked, run = own(tmp_path, trust_code=True, environment_params={"fault": fault})
    began = time.monotonic()
    with pytest.raises(InvalidRequest, match=said) as caught:
        train(asked, None, run)
    assert caught.value.field == "environment"
    assert time.monotonic() - began < 60


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    run = MemoryRun(tmp_path)
    for bad, word in (
        (spec("CartPole-v9", "ppo", {}, 10), "did you mean 'CartPole-v1'"),
        (spec("os:CartPole-v1", "ppo", {}, 10), "no environment"),
        (spec("CartPole-v1", "pqo", {}, 10), "did you mean 'ppo'"),
        (spec("CartPole-v1", "ppo", {"n_step": 3}, 10), "did you mean 'n_steps'"),
        (spec("CartPole-v1", "ppo", {"policy_kwargs": {"net_arch": ["a"]}}, 10), "Expected"),
        (spec("CartPole-v1", "ppo", {}, 10, environment_params={"nothing": 1}), "cannot be made"),
        (spec("CartPole-v1", "ppo", {}, 0), "at least 1"),
    ):
        with pytest.raises(InvalidRequest, match=word):
            train(bad, None, run)
    with pytest.raises(Unsupported, match="sac"):
        train(spec("CartPole-v1", "sac", {}, 10), None, run)
    with pytest.raises(Unsupported, match="dqn"):
        train(spec("Pendulum-v1", "dqn", {}, 10), None, run)
