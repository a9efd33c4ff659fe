"""Which rows keep their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.engines.predictor.preprocessing import codes
from craton.training.protocol import Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

UNKNOWN = -1


def labels(tables: Tables, share: float | None, seed: int) -> tuple[Array, Array]:
    """(codes, UNKNOWN where there is no label or it is hidden; codes that were hidden, UNKNOWN elsewhere).

    share: of the training rows keep theirs, at least one of each class. Raises InvalidRequest when none would be
    without one.
    """
    import numpy as np

    assert tables.target is not None
    known = codes(tables.train[tables.target.name], tables.target.categories)
    if share is None:
        if (known != UNKNOWN).all():
            raise InvalidRequest(
                "every training row has a label: leave some of the target empty, or say which share keeps it", "labeled"
            )
        return known, np.full(len(known), UNKNOWN)
    if not 0 < share < 1:
        raise InvalidRequest("more than 0 and less than 1", "labeled")
    draw = np.random.default_rng(seed)
    kept: list[Array] = []
    for code in range(len(tables.target.categories)):
        own = draw.permutation(np.flatnonzero(known == code))
        kept.append(own[: max(1, round(len(own) * share))])
    places = np.concatenate(kept)
    left = np.full(len(known), UNKNOWN)
    left[places] = known[places]
    if (left == known).all():
        raise InvalidRequest("keeps every label: there is nothing left to learn from without one", "labeled")
    return left, np.where(left == known, UNKNOWN, known)
