"""What a policy learns in: gymnasium's own environments in this process, a user's in a limited child.

Whatever an environment does wrong is said as the environment's fault, with the step it happened at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from craton.core.errors import CratonError, InvalidRequest
from craton.training.methods.reinforcement.remote import Remote, environment
from craton.training.protocol import Run
from craton.training.specification.methods import Reinforcement
from craton.training.specification.names import SPACES
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import gymnasium

    Environment = gymnasium.Env[Any, Any]

_ID = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?-v\d+|[A-Za-z0-9_.-]+")


def maker(spec: Reinforcement, run: Run) -> Callable[[bool], Environment]:
    """A function that makes one environment more; its argument: is it to be drawn?

    Raises InvalidRequest, NotFound, Forbidden.
    """
    if not spec.environment.startswith(SPACES):
        return lambda draw: guarded(_of_gymnasium(spec, draw))
    if not spec.trust_code:
        raise InvalidRequest(
            f"{spec.environment} is code that would run here; read it, then say trust_code: true", "trust_code"
        )
    folder = run.checkout("space", spec.environment)
    return lambda draw: guarded(environment(Remote(folder, spec.environment_params, draw=draw)))


def _of_gymnasium(spec: Reinforcement, draw: bool) -> Environment:
    import gymnasium

    name, params = spec.environment, spec.environment_params
    if not _ID.fullmatch(name) or name not in gymnasium.registry:
        raise InvalidRequest(unknown("environment", name, gymnasium.registry), "environment")
    for key, value in params.items():
        if isinstance(value, str) and ("/" in value or "\\" in value):
            raise InvalidRequest("paths are not given to environments", f"environment_params.{key}")
    try:
        return gymnasium.make(name, render_mode="rgb_array" if draw else None, **params)
    except (TypeError, ValueError, gymnasium.error.Error) as error:
        if draw:
            raise  # there is no picture of it then
        raise InvalidRequest(f"{name} cannot be made: {str(error)[:300]}", "environment_params") from error


def guarded(bare: Environment) -> Environment:
    """The same environment; what it raises, and observations that are not finite, become InvalidRequest."""
    import gymnasium
    import numpy as np

    class Guarded(gymnasium.Wrapper[Any, Any, Any, Any]):
        steps = 0

        def reset(self, **keywords: Any) -> Any:
            return self._checked(lambda: self.env.reset(**keywords))

        def step(self, action: Any) -> Any:
            self.steps += 1
            found = self._checked(lambda: self.env.step(action))
            if not np.isfinite(found[1]):
                raise InvalidRequest(f"the reward of step {self.steps:,} is {found[1]}", "environment")
            return found

        def _checked(self, call: Callable[[], Any]) -> Any:
            try:
                found = call()
            except CratonError:
                raise
            except Exception as error:
                said = f"{type(error).__name__}: {error}"[:300]
                raise InvalidRequest(f"it failed at step {self.steps:,}: {said}", "environment") from error
            if not np.isfinite(np.asarray(found[0], dtype=np.float64)).all():
                raise InvalidRequest(f"its observation at step {self.steps:,} is not finite", "environment")
            return found

    return Guarded(bare)
