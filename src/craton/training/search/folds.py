"""How training rows are set apart for cross-validation: as the test rows were, so that a search sees the same task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.training.specification.parts import Split

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]
    Folds = list[tuple[Array, Array]]


def folds(rows: pd.DataFrame, count: int, seed: int, split: Split | None, classes: Array | None) -> Folds:
    """Places of rows: to learn from, and to be judged on. classes: codes, whose shares are kept where they can be.

    Rows in an order are judged on later ones only; groups stay together. Raises InvalidRequest for too few rows.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    by = "random" if split is None else split.by
    if not 2 <= count <= 50:
        raise InvalidRequest("from 2 to 50", "search.folds")
    if len(rows) < (count + 1 if by == "order" else count):
        raise InvalidRequest(f"{count} folds of {len(rows):,} training rows", "search.folds")
    if by == "order":
        return [*TimeSeriesSplit(count).split(rows)]
    if by == "group" and split is not None:
        groups = rows[split.column].astype(str)
        if groups.nunique() < count:
            raise InvalidRequest(f"{count} folds of {groups.nunique()} groups in {split.column!r}", "search.folds")
        return [*GroupKFold(count, shuffle=True, random_state=seed).split(rows, groups=groups)]
    if classes is not None and np.bincount(classes).min() >= count:
        return [*StratifiedKFold(count, shuffle=True, random_state=seed).split(rows, classes)]
    return [*KFold(count, shuffle=True, random_state=seed).split(rows)]
