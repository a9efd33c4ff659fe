"""Rows as numbers: a case small enough to write down."""

from __future__ import annotations

from typing import Any

import pytest

pd = pytest.importorskip("pandas")

import numpy as np  # noqa: E402

from craton.core.predicting import Field  # noqa: E402
from craton.engines.predictor.preprocessing import codes, encode, names, width  # noqa: E402

FIELDS = (
    Field("age", "integer", nullable=True),
    Field("plan", "category", nullable=True, categories=("basic", "pro")),
    Field("late", "boolean", nullable=True),
    Field("since", "time", nullable=True),
    Field("place", "vector", shape=(2,)),
)
ROWS = pd.DataFrame(
    {
        "age": pd.Series([30, None], dtype=object),
        "plan": pd.Series(["pro", "gold"], dtype=object),
        "late": pd.Series([True, None], dtype=object),
        "since": pd.to_datetime(pd.Series(["1970-01-02T12:00:00Z", None]), utc=True),
        "place": pd.Series([[1, 2], np.array([3.5, 4.0])], dtype=object),
    }
)
NAN = float("nan")


def test_codes() -> None:
    expected = [[30, 1, 1, 1.5, 1, 4, 12, 1, 2], [NAN] * 7 + [3.5, 4.0]]
    np.testing.assert_array_equal(encode(ROWS, FIELDS, "codes"), expected)


def test_one_hot_leaves_unknown_categories_empty() -> None:
    expected = [[30, 0, 1, 1, 1.5, 1, 4, 12, 1, 2], [NAN, 0, 0] + [NAN] * 5 + [3.5, 4.0]]
    np.testing.assert_array_equal(encode(ROWS, FIELDS, "one-hot"), expected)


def test_names_are_as_many_as_columns() -> None:
    found = names(FIELDS, "one-hot")
    assert (len(found), found[:4]) == (width(FIELDS, "one-hot"), ["age", "plan=basic", "plan=pro", "late"])
    assert encode(ROWS.head(0), FIELDS, "one-hot").shape == (0, len(found))


def test_a_category_is_equal_to_itself_whatever_its_type() -> None:
    assert codes([1, True, 1.0, np.int64(2), None, "1", [1]], [1, 2, True]).tolist() == [0, 2, 0, 1, -1, -1, -1]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, True, 1.0, None, "1"], object),
        (["a", "b", None, "c", float("nan")], object),
        ([True, False], bool),
        ([0, 1, 2, 3], np.int32),
        ([1.0, 0.0, -0.0, 1.5, float("nan")], float),
    ],
)
def test_many_values_have_the_codes_of_few(values: list[Any], dtype: Any) -> None:
    known = [2, 1, True, "b", "a", False, 0]
    few = pd.Series(values, dtype=dtype)
    many = pd.concat([few] * 500, ignore_index=True)
    assert codes(many, known).tolist() == codes(few, known).tolist() * 500
    assert codes(many.to_numpy(), known).tolist() == codes(many.tolist(), known).tolist()
