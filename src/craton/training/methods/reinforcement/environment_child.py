"""The child process of a user's environment.

`environment.py` of the space has a function `make(**environment_params)`, or a class `Environment` that takes them.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from craton.children.frames import Frames, encode
from craton.children.limits import alone, bound_memory, die_with
from craton.engines.predictor.spaces import describe
from craton.training.methods.reinforcement.remote import (
    Answered,
    Asked,
    Described,
    Draw,
    Drawn,
    Failed,
    Observed,
    Reset,
    Step,
    packed,
    unpacked,
)

FILE = "environment.py"
MEMORY = 2 << 30  # bytes, beyond what Python and gymnasium take


def main() -> None:
    descriptor, parent, folder, said = sys.argv[1:]
    die_with(int(parent))
    import gymnasium  # noqa: F401 (before memory is bounded)

    bound_memory(MEMORY)
    alone()
    talk = socket.socket(fileno=int(descriptor))
    try:
        document = msgspec.json.decode(said)
        environment = _load(Path(folder), document["params"], draw=document["draw"])
        threshold = getattr(environment, "reward_threshold", None) or getattr(
            environment.spec, "reward_threshold", None
        )
        answer: Answered = Described(
            describe(environment.observation_space),
            describe(environment.action_space),
            None if threshold is None else float(threshold),
        )
    except Exception as error:
        talk.sendall(encode(Failed(_words(error))))
        return
    talk.sendall(encode(answer))
    frames = Frames[Asked](Asked)
    while data := talk.recv(1 << 20):
        for asked in frames.feed(data):
            talk.sendall(encode(_answer(environment, asked)))


def _answer(environment: Any, asked: Asked) -> Answered:
    try:
        if isinstance(asked, Reset):
            return Observed(packed(environment.reset(seed=asked.seed)[0]))
        if isinstance(asked, Draw):
            picture = environment.render()
            return Drawn(None if picture is None else packed(picture))
        assert isinstance(asked, Step)
        action = unpacked(asked.action)
        action = action.item() if action.ndim == 0 else action
        observation, reward, terminated, truncated, _ = environment.step(action)
        return Observed(packed(observation), float(reward), bool(terminated), bool(truncated))
    except Exception as error:
        return Failed(_words(error))


def _load(folder: Path, params: dict[str, Any], *, draw: bool) -> Any:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"the space has no {FILE}")
    sys.path.insert(0, str(folder))
    found = importlib.util.spec_from_file_location("environment", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["environment"] = module
    found.loader.exec_module(module)
    make = getattr(module, "make", None) or getattr(module, "Environment", None)
    if make is None:
        raise AttributeError(f"{FILE} has neither a function make nor a class Environment")
    try:
        return make(**params, render_mode="rgb_array") if draw else make(**params)
    except TypeError:
        if not draw:
            raise
        return make(**params)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:400]


if __name__ == "__main__":
    main()
