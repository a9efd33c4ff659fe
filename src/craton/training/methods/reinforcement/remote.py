"""A user's environment in a child process of its own: no keys, no network where the kernel allows that, bounded memory,
processes and files; it ends with its parent, and a step that takes too long ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from craton.children.blocking import Blocking, Gone
from craton.core.errors import InvalidRequest
from craton.engines.predictor.spaces import Space, build

MODULE = "craton.training.methods.reinforcement.environment_child"
STEP_SECONDS, START_SECONDS = 60.0, 120.0


class Array(Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Reset(Struct, frozen=True, tag="reset"):
    seed: int | None = None


class Step(Struct, frozen=True, tag="step"):
    action: Array


class Draw(Struct, frozen=True, tag="draw"):
    pass


class Described(Struct, frozen=True, tag="described"):
    observations: Space
    actions: Space
    threshold: float | None


class Observed(Struct, frozen=True, tag="observed"):
    observation: Array
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


class Drawn(Struct, frozen=True, tag="drawn"):
    picture: Array | None


class Failed(Struct, frozen=True, tag="failed"):
    reason: str


Asked = Reset | Step | Draw
Answered = Described | Observed | Drawn | Failed


def packed(value: Any) -> Array:
    import numpy as np

    array = np.asarray(value)
    return Array(str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes())


def unpacked(array: Array) -> Any:
    """Raises ValueError, TypeError for bytes that are no such array; never for objects: they are not made."""
    import numpy as np

    kind = np.dtype(array.dtype)
    if kind.hasobject:
        raise TypeError("an array of objects")
    return np.frombuffer(array.data, kind).reshape(array.shape).copy()


class Remote:
    """The process and its end of the socket. One call at a time."""

    def __init__(self, folder: Path, params: dict[str, Any], *, draw: bool) -> None:
        """folder: the space's files. Raises InvalidRequest when it does not start."""
        said = msgspec.json.encode({"params": params, "draw": draw}).decode()
        self._child = Blocking[Answered](MODULE, [str(folder), said], Answered)
        self._steps = 0
        described = self._answered(lambda: self._child.answer(START_SECONDS), START_SECONDS)
        assert isinstance(described, Described)
        self.described = described

    def ask(self, asked: Asked) -> Answered:
        """Raises InvalidRequest when it fails, dies or hangs."""
        self._steps += isinstance(asked, Step)
        return self._answered(lambda: self._child.ask(asked, STEP_SECONDS), STEP_SECONDS)

    def close(self) -> None:
        self._child.close()

    def _answered(self, answer: Callable[[], Answered], seconds: float) -> Answered:
        try:
            found = answer()
        except TimeoutError:
            raise self._fault(f"gave no answer {self._when()} within {seconds:.0f} seconds") from None
        except Gone as gone:
            said = f"; it said: {gone.words}" if gone.words else ""
            raise self._fault(f"crashed {self._when()}: {gone.how}{said}") from None
        if isinstance(found, Failed):
            raise self._fault(f"failed {self._when()}: {found.reason}")
        return found

    def _fault(self, what: str) -> InvalidRequest:
        self._child.kill()
        return InvalidRequest(f"the environment {what}", "environment")

    def _when(self) -> str:
        return f"at step {self._steps:,}" if self._steps else "at its start"


def environment(remote: Remote) -> Any:
    """As gymnasium knows them."""
    import gymnasium

    class Environment(gymnasium.Env[Any, Any]):
        metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
        render_mode = "rgb_array"
        observation_space = build(remote.described.observations)
        action_space = build(remote.described.actions)
        reward_threshold = remote.described.threshold

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            super().reset(seed=seed)
            return self._observed(remote.ask(Reset(seed)))[0], {}

        def step(self, action: Any) -> Any:
            observation, answer = self._observed(remote.ask(Step(packed(action))))
            return observation, answer.reward, answer.terminated, answer.truncated, {}

        def render(self) -> Any:
            answer = remote.ask(Draw())
            picture = answer.picture if isinstance(answer, Drawn) else None
            return None if picture is None else unpacked(picture)

        def close(self) -> None:
            remote.close()

        def _observed(self, answer: Answered) -> Any:
            if not isinstance(answer, Observed):
                raise TypeError("an answer to another question")
            found = unpacked(answer.observation)
            space = self.observation_space
            if found.shape != space.shape:
                raise ValueError(f"an observation of the shape {found.shape}, not {space.shape}")
            return found.astype(space.dtype), answer

    return Environment()
