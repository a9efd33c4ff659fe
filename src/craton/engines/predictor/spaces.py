"""Gymnasium's spaces as JSON: what a policy sees and does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from craton.core.errors import Unsupported
from craton.core.predicting import Field, FieldKind

if TYPE_CHECKING:
    from gymnasium import spaces

    Bounds = tuple[float | None, ...]

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Counts = Annotated[tuple[Count, ...], Meta(min_length=1, max_length=8)]


class Box(Struct, frozen=True, tag="box"):
    """low, high: one bound for each number, flat; None where there is none."""

    shape: Annotated[tuple[Count, ...], Meta(max_length=8)]
    dtype: str
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class Discrete(Struct, frozen=True, tag="discrete"):
    count: Count
    start: int = 0


class MultiDiscrete(Struct, frozen=True, tag="multi-discrete"):
    counts: Counts


class MultiBinary(Struct, frozen=True, tag="multi-binary"):
    shape: Counts


Space = Box | Discrete | MultiDiscrete | MultiBinary


def describe(space: spaces.Space[Any]) -> Space:
    """Raises Unsupported for spaces of other kinds."""
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return Box(space.shape, str(space.dtype), _bounds(space.low), _bounds(space.high))
    if isinstance(space, spaces.Discrete):
        return Discrete(int(space.n), int(space.start))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        return MultiDiscrete(tuple(int(count) for count in space.nvec))
    if isinstance(space, spaces.MultiBinary):
        return MultiBinary(tuple(int(size) for size in space.shape))
    raise Unsupported(f"A space of the kind {type(space).__name__}", "Flatten it in the environment.")


def build(space: Space) -> spaces.Space[Any]:
    """Raises ValueError, TypeError for what makes no sense."""
    import numpy as np
    from gymnasium import spaces

    if isinstance(space, Box):
        low = np.array([-math.inf if bound is None else bound for bound in space.low], space.dtype)
        high = np.array([math.inf if bound is None else bound for bound in space.high], space.dtype)
        return spaces.Box(low.reshape(space.shape), high.reshape(space.shape), dtype=np.dtype(space.dtype).type)
    if isinstance(space, Discrete):
        return spaces.Discrete(space.count, start=space.start)
    if isinstance(space, MultiDiscrete):
        return spaces.MultiDiscrete(list(space.counts))
    return spaces.MultiBinary(list(space.shape))


def field(name: str, space: Space) -> Field:
    """As rows hold it."""
    if isinstance(space, Discrete):
        return Field(name, "integer")
    shape = (len(space.counts),) if isinstance(space, MultiDiscrete) else space.shape
    kind: FieldKind = "image" if len(shape) == 3 else "vector"
    return Field(name, kind, shape=shape)


def _bounds(values: Any) -> Bounds:
    return tuple(float(value) if math.isfinite(value) else None for value in values.reshape(-1).tolist())
