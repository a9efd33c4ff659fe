"""One episode as a picture that moves: an animated PNG, which every browser shows."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Figure, Run

if TYPE_CHECKING:
    import gymnasium

    Environment = gymnasium.Env[Any, Any]

FRAMES, EVERY, WIDTH = 60, 4, 240
MILLISECONDS = 80


def episode_figure(make: Callable[[bool], Environment], policy: Any, seed: int, run: Run) -> Figure | None:
    """None, with a line in the log, for an environment that has no pictures."""
    import gymnasium

    try:
        environment = make(True)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        run.log(f"no picture of an episode: {str(error)[:200]}")
        return None
    try:
        frames = _frames(environment, policy, seed)
    except Exception as error:  # whatever a renderer does wrong, the policy is learned
        run.log(f"no picture of an episode: {str(error)[:200]}")
        return None
    finally:
        environment.close()
    if not frames:
        run.log("no picture of an episode: the environment draws none")
        return None
    buffer = BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    return Figure("episode", "One episode", buffer.getvalue(), {"frames": len(frames)})


def _frames(environment: Environment, policy: Any, seed: int) -> list[Any]:
    import numpy as np
    from PIL import Image

    frames: list[Any] = []
    observation, _ = environment.reset(seed=seed)
    over, step = False, 0
    while not over and len(frames) < FRAMES:
        if step % EVERY == 0:
            drawn = np.asarray(environment.render())
            if drawn.ndim != 3 or drawn.shape[2] not in {3, 4}:
                return []
            picture = Image.fromarray(drawn.astype(np.uint8)).convert("RGB")
            frames.append(picture.resize((WIDTH, max(1, WIDTH * picture.height // picture.width))).quantize(64))
        action, _ = policy.predict(observation, deterministic=True)
        observation, _, terminated, truncated, _ = environment.step(action)
        over, step = terminated or truncated, step + 1
    return frames
