"""Typed errors on their way from a worker to the server: by class name and constructor values, known classes only."""

from __future__ import annotations

import inspect
import logging
import traceback

from craton.children.frames import WireError
from craton.core import errors
from craton.core.errors import CratonError, ModelFailed

MAX_TRACEBACK = 8192  # characters, of the end

log = logging.getLogger(__name__)

_PARAMETERS: dict[str, tuple[type[CratonError], tuple[str, ...]]] = {
    name: (value, tuple(inspect.signature(value).parameters))
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, CratonError) and value is not CratonError
}


def to_wire(error: BaseException, model: str) -> WireError:
    """Anything that Craton did not raise on purpose becomes a ModelFailed that tells clients nothing."""
    name = type(error).__name__
    if isinstance(error, CratonError) and name in _PARAMETERS:
        return WireError(name, tuple(_plain(getattr(error, parameter)) for parameter in _PARAMETERS[name][1]))
    reason = "it ran out of memory" if isinstance(error, MemoryError) else "an internal error of its engine"
    lines = "".join(traceback.format_exception(error))
    return WireError("ModelFailed", (model, reason), lines[-MAX_TRACEBACK:])


def from_wire(error: WireError, model: str) -> CratonError:
    """The error again. What is not known, or does not fit its class, becomes a ModelFailed."""
    if error.traceback:
        log.error("the engine of %s failed:\n%s", model, error.traceback[-MAX_TRACEBACK:])
    kind, parameters = _PARAMETERS.get(error.name, (None, ()))
    if kind is None or len(error.values) != len(parameters):
        return ModelFailed(model, "an error that is not known")
    return kind(*error.values)


def _plain(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
