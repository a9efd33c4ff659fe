"""PPO, DQN and SAC: stretches of learning, an evaluation after each, the best policy is the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import InvalidRequest
from craton.engines.predictor.policies import PolicyPredictor
from craton.training.methods.drawing import curves
from craton.training.methods.reinforcement.algorithms import Chosen, choose
from craton.training.methods.reinforcement.checkpoints import Stretches, load, save
from craton.training.methods.reinforcement.environments import maker
from craton.training.methods.reinforcement.rendering import episode_figure
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Reinforcement

if TYPE_CHECKING:
    import gymnasium

    Environment = gymnasium.Env[Any, Any]

STRETCHES = 20  # evaluations of a training
QUICK = 5  # episodes of an evaluation on the way
LONGEST = 100_000  # steps of one episode, after which it counts as over


def train(spec: Reinforcement, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest also for what an environment does wrong, Unsupported, NotFound, Forbidden."""
    if spec.steps < 1 or spec.episodes < 1:
        raise InvalidRequest("must be at least 1", "steps" if spec.steps < 1 else "episodes")
    make = maker(spec, run)
    judging = make(False)
    try:
        chosen = choose(spec.model.use, spec.model.params, judging)
        threshold = spec.solved if spec.solved is not None else threshold_of(judging)
        return _Training(spec, run, make, judging, chosen, threshold).run()
    finally:
        judging.close()


def threshold_of(environment: Environment) -> float | None:
    """What gymnasium, or the environment itself, calls solved."""
    own = getattr(environment.unwrapped, "reward_threshold", None)
    said = environment.spec.reward_threshold if environment.spec is not None else None
    found = said if said is not None else own
    return None if found is None else float(found)


class _Training:
    def __init__(
        self,
        spec: Reinforcement,
        run: Run,
        make: Callable[[bool], Environment],
        judging: Environment,
        chosen: Chosen,
        threshold: float | None,
    ) -> None:
        import torch
        from stable_baselines3.common.monitor import Monitor
        from stable_baselines3.common.vec_env import DummyVecEnv

        self._spec, self._run, self._make, self._judging = spec, run, make, judging
        self._chosen, self._threshold = chosen, threshold
        if chosen.policy.kind == "MlpPolicy":
            torch.set_num_threads(1)  # between layers this small, a second core costs more than it brings
        self._environments = DummyVecEnv([lambda: Monitor(make(False)) for _ in range(chosen.count)])
        self._model = chosen.model(self._environments, spec.seed)
        self._at = Stretches(settings=msgspec.json.encode(spec).decode())
        self._best: dict[str, Any] = {}

    def run(self) -> Trained:
        try:
            self._learn()
        finally:
            self._environments.close()
        self._model.policy.load_state_dict(self._best)
        predictor = PolicyPredictor(self._chosen.policy, self._model.policy)
        rewards = self._play(self._spec.episodes, 0)
        metrics = _figures(rewards)
        if self._threshold is not None:
            metrics["solved"] = float(metrics["reward"] >= self._threshold)
        points = {name: [(x, y) for x, y in line] for name, line in self._at.curves.items()}
        figures = [curves("reward", f"Reward in {self._spec.environment}", points, "steps", "mean reward")]
        drawn = episode_figure(self._make, self._model.policy, self._seed(0), self._run)
        return Trained(predictor, metrics, [*figures, *([drawn] if drawn else [])], self._notes(rewards))

    def _learn(self) -> None:
        at, spec = self._at, self._spec
        found = load(self._run.folder, at.settings, self._model)
        if found is not None:
            self._at, self._best = found
            at = self._at
            self._run.log(f"goes on after {self._model.num_timesteps:,} steps")
            for name, line in at.curves.items():  # what the killed process may not have written
                for step, value in line:
                    self._run.metric(name, value, int(step))
        each = max(1, -(-spec.steps // STRETCHES))
        while self._model.num_timesteps < spec.steps and not at.solved:
            self._stretch(min(each, spec.steps - self._model.num_timesteps))
            self._evaluate()
            at.done += 1
            save(self._run.folder, at, self._model, self._best)

    def _stretch(self, steps: int) -> None:
        """Begins with everything seeded by its number: see `checkpoints`."""
        from stable_baselines3.common.utils import set_random_seed

        seed = self._seed(self._at.done + 1)
        set_random_seed(seed)
        self._environments.seed(seed)
        self._model.action_space.seed(seed)
        self._model._last_obs = None  # `learn` resets the environments then
        self._model.learn(steps, callback=_callback(self._run, self._spec.steps, self._told), reset_num_timesteps=False)

    def _told(self, rewards: list[float]) -> None:
        """The episodes that ended in one rollout while learning."""
        self._point("training_reward", sum(rewards) / len(rewards))

    def _point(self, name: str, value: float) -> None:
        step = self._model.num_timesteps
        self._at.curves.setdefault(name, []).append([step, value])
        self._run.metric(name, value, step)

    def _evaluate(self) -> None:
        at = self._at
        mean = _mean(self._play(QUICK, at.done + 1))
        if self._threshold is not None and mean >= self._threshold and self._spec.episodes > QUICK:
            mean = _mean(self._play(self._spec.episodes, at.done + 1))
        self._point("evaluation_reward", mean)
        if at.best is None or mean >= at.best:
            at.best = mean
            self._best = {name: value.detach().clone() for name, value in self._model.policy.state_dict().items()}
        if self._threshold is not None and mean >= self._threshold:
            at.solved = self._model.num_timesteps
            self._run.log(f"solved after {at.solved:,} steps: mean reward {mean:.6g}, {self._threshold:g} was wanted")

    def _play(self, episodes: int, stretch: int) -> list[float]:
        """The rewards of whole episodes, each begun with a seed of its own."""
        found = []
        for number in range(episodes):
            observation, _ = self._judging.reset(seed=self._seed(stretch) + 1000 + number)
            total, over, steps = 0.0, False, 0
            while not over and steps < LONGEST:
                if steps % 100 == 0:
                    self._run.check()
                action, _ = self._model.policy.predict(observation, deterministic=True)
                observation, reward, terminated, truncated, _ = self._judging.step(action)
                total, over, steps = total + float(reward), terminated or truncated, steps + 1
            found.append(total)
        return found

    def _seed(self, stretch: int) -> int:
        return (self._spec.seed * 1_000_003 + stretch * 10_007) % 2**31

    def _notes(self, rewards: list[float]) -> list[str]:
        notes = [f"Judged on {len(rewards)} episodes that it never saw, without chance in its actions."]
        if self._at.solved:
            notes.append(f"Solved after {self._at.solved:,} steps.")
        elif self._threshold is not None:
            notes.append(f"Not solved: a mean reward of {self._threshold:g} was wanted.")
        return notes


def _callback(run: Run, total: int, told: Callable[[list[float]], None]) -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    class Callback(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.rewards: list[float] = []

        def _on_training_start(self) -> None:
            self.model._total_timesteps = total  # of all stretches: schedules run over the whole training

        def _on_step(self) -> bool:
            run.check()
            self.rewards += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
            if self.num_timesteps % 1000 < self.training_env.num_envs:
                run.progress(min(self.num_timesteps, total), total, "steps")
            return True

        def _on_training_end(self) -> None:
            if self.rewards:
                told(self.rewards)

    return Callback()


def _mean(rewards: list[float]) -> float:
    return sum(rewards) / len(rewards)


def _figures(rewards: list[float]) -> dict[str, float]:
    mean = _mean(rewards)
    spread = (sum((reward - mean) ** 2 for reward in rewards) / len(rewards)) ** 0.5
    return {"reward": mean, "reward_deviation": spread, "reward_lowest": min(rewards)}
