"""Folds are cut as the test rows were."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

import numpy as np
import pandas as pd

from craton.core.errors import InvalidRequest
from craton.training.search.folds import folds
from craton.training.specification.parts import Split

ROWS = pd.DataFrame({"x": range(60), "who": [number // 6 for number in range(60)]})
CLASSES = np.array([0] * 45 + [1] * 15)


def test_every_row_is_judged_once_and_classes_keep_their_shares() -> None:
    parts = folds(ROWS, 5, 0, None, CLASSES)
    assert sorted(np.concatenate([judged for _, judged in parts])) == [*range(60)]
    assert all(CLASSES[judged].sum() == 3 for _, judged in parts)
    assert all(not set(learned) & set(judged) for learned, judged in parts)


def test_rows_in_an_order_are_judged_on_later_ones() -> None:
    assert all(max(a) < min(b) for a, b in folds(ROWS, 3, 0, Split(by="order"), CLASSES))


def test_groups_stay_together() -> None:
    for learned, judged in folds(ROWS, 3, 0, Split(by="group", column="who"), CLASSES):
        assert not set(ROWS["who"].iloc[learned]) & set(ROWS["who"].iloc[judged])


@pytest.mark.parametrize(("count", "split"), [(1, None), (61, None), (20, Split(by="group", column="who"))])
def test_too_many_folds_are_refused(count: int, split: Split | None) -> None:
    with pytest.raises(InvalidRequest):
        folds(ROWS, count, 0, split, None)
