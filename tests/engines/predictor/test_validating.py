"""What comes in is what the signature says, or is refused by its place; nothing is converted in silence."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.predicting import Block, Field, PredictRequest, Signature
from craton.engines.predictor import arranging
from craton.engines.predictor.arranging import arranged

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from craton.engines.predictor.tables import joined  # noqa: E402
from craton.engines.predictor.validating import checked  # noqa: E402

NUMBER = Field("x", "number")
GAPS = Field("x", "number", nullable=True)
WHOLE = Field("x", "integer")
FLAG = Field("x", "boolean", nullable=True)
COLOR = Field("x", "category", categories=("red", "blue"))
SIZE = Field("x", "category", categories=(1, 2, 3))
MOMENT = Field("x", "time", nullable=True)
WORDS = Field("x", "text")
POINT = Field("x", "vector", shape=(2,))
PICTURE = Field("x", "image", shape=(2, 2, 1))


@pytest.mark.parametrize(
    ("field", "column"),
    [
        (NUMBER, [1, 2.5, -3]),
        (GAPS, [1.5, None]),
        (WHOLE, [1, 2.0]),
        (FLAG, [True, None, False]),
        (COLOR, ["red", "green"]),  # a new color is drift, not a mistake
        (SIZE, [1, 2.0, 7]),
        (WORDS, ["", "a b"]),
    ],
)
def test_values_come_through_as_they_are(field: Field, column: list[Any]) -> None:
    (array,) = checked([field], [column]).columns
    found = [None if str(value) == "nan" else value for value in array.tolist()]
    assert found == column


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((NUMBER, value) for value in ("1", True, None, float("nan"), float("inf"), [1], 10**400)),
        (GAPS, float("nan")),
        *((WHOLE, value) for value in (1.5, "1", True)),
        *((FLAG, value) for value in (0, "true")),
        *((COLOR, value) for value in (1, None, True)),
        *((SIZE, value) for value in ("1", 1.5, True)),
        *((MOMENT, value) for value in ("yesterday", 5, "2026-13-01")),
        *((WORDS, value) for value in (1, None)),
        *((POINT, value) for value in (None, 1, [1], [1, 2, 3], [1, "2"], [1, None], [True, False], [1, float("inf")])),
        *((PICTURE, value) for value in ([1, 2, 3], [[1, 2], [3, 4], [5, 6]])),
    ],
)
def test_values_of_another_kind_are_refused_by_row_and_column(field: Field, value: Any) -> None:
    good: dict[str, Any] = {"category": field.categories[:1] and field.categories[0], "vector": [0, 0]}
    good |= {"number": 1.0, "integer": 1, "boolean": True, "time": "2026-01-01", "text": "a", "image": [0, 0, 0, 0]}
    with pytest.raises(InvalidRequest) as caught:
        checked([field], [[good[field.kind], value, good[field.kind]]])
    assert str(caught.value).startswith("rows: row 1, column 'x': ")


def test_times_have_one_clock() -> None:
    (array,) = checked([MOMENT], [["2026-01-31T12:00:00Z", None, "2026-01-31T14:00:00+02:00"]]).columns
    assert array.dtype.kind == "M"
    assert array[0] == array[2]
    assert np.isnat(array[1])


def test_vectors_and_pictures_take_their_shape() -> None:
    (points,) = checked([POINT], [[[1, 2], [3, 4.5]]]).columns
    assert points.tolist() == [[1, 2], [3, 4.5]]
    (pictures,) = checked([PICTURE], [[[[[1], [2]], [[3], [4]]], [[[0], [0]], [[0], [0]]]]]).columns
    assert pictures.shape == (2, 2, 2, 1)
    (flat,) = checked([PICTURE], [[[1, 2, 3, 4]]]).columns
    assert flat[0].tolist() == [[[1], [2]], [[3], [4]]]
    (gaps,) = checked([Field("x", "vector", nullable=True, shape=(2,))], [[None, [1, 2]]]).columns
    assert gaps[0] is None
    assert gaps[1].tolist() == [1, 2]


def test_a_frame_holds_columns_in_the_signatures_order() -> None:
    fields = [Field("a", "number"), Field("b", "category", categories=("u",)), Field("c", "vector", shape=(2,))]
    first = checked(fields, [[1], ["u"], [[1, 2]]])
    second = checked(fields, [[2, 3], ["u", "v"], [[3, 4], [5, 6]]])
    frame = joined([first, second]).frame(pd.Index([field.name for field in fields]))
    assert frame["a"].tolist() == [1, 2, 3]
    assert frame["b"].tolist() == ["u", "u", "v"]
    assert [value.tolist() for value in frame["c"]] == [[1, 2], [3, 4], [5, 6]]
    numbers = checked(fields[:1], [[]]).frame(pd.Index([fields[0].name]))
    assert (list(numbers.columns), len(numbers)) == (["a"], 0)


def test_a_block_is_its_columns_and_wrong_numbers_have_places() -> None:
    fields = [Field("a", "number", nullable=True), Field("b", "integer")]
    for kind in ("<f8", "<f4", "<i8", "<i4"):
        table = checked(fields, Block(2, np.array([[1, 2], [3, 4]], kind).tobytes(), kind))
        assert [column.tolist() for column in table.columns] == [[1, 3], [2, 4]]
        twice = joined([table, table]).matrix
        assert twice is not None
        assert twice.tolist() == [[1, 2], [3, 4]] * 2
    gap = checked(fields, Block(2, np.array([[np.nan, 2.0]]).tobytes()))
    assert np.isnan(gap.columns[0]).all()
    assert joined([gap, checked(fields, [[1], [2]])]).columns[1].tolist() == [2, 2]
    for rows, told in (
        (
            [[1, 2], [np.inf, 2.5]],
            "row 1, column 'a': inf is not a finite number; row 1, column 'b': 2.5 is",
        ),
        ([[1, np.nan]], "row 0, column 'b': it is missing; the model needs a whole number"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            checked(fields, Block(2, np.array(rows).tobytes()))


def test_blocks_are_arranged_and_bounded_as_columns_are(monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block(2, struct.pack("<4d", 1, 2, 3, 4))
    for names in ((), ("a", "b")):
        assert arranged(SIGNATURE, PredictRequest("m", "predict", block, names)).columns is block
    turned = arranged(SIGNATURE, PredictRequest("m", "predict", block, ("b", "a"))).columns
    assert turned == (struct.pack("<2d", 2, 4), struct.pack("<2d", 1, 3))
    with pytest.raises(InvalidRequest, match="1 columns without names"):
        arranged(SIGNATURE, PredictRequest("m", "predict", Block(1, b"\0" * 8)))
    monkeypatch.setattr(arranging, "MAX_CELLS", 3)
    with pytest.raises(TooLarge):
        arranged(SIGNATURE, PredictRequest("m", "predict", block))


SIGNATURE = Signature((Field("a", "number"), Field("b", "number")), {"predict": ()}, Field("y", "number"))


def ask(columns: tuple[list[Any], ...], names: tuple[str, ...] = (), verb: Any = "predict") -> PredictRequest:
    return arranged(SIGNATURE, PredictRequest("m", verb, columns, names))


def test_columns_are_put_in_order() -> None:
    assert ask(([2], [1]), ("b", "a")).columns == ([1], [2])
    assert ask(([1], [2])).names == ("a", "b")
    assert ask(([3], [2], [1]), ("y", "b", "a"), "learn").columns == ([1], [2], [3])


@pytest.mark.parametrize(
    ("columns", "names", "verb", "told"),
    [
        (([1],), ("a",), "predict", "missing: 'b'"),
        (([1], [1], [1]), ("a", "b", "y"), "predict", "not known: 'y'"),
        (([1], [1]), ("a", "b"), "learn", "missing: 'y'"),
        (([1], [1]), ("a", "a"), "predict", "'a' came twice"),
        (([1], [1, 2]), ("a", "b"), "predict", "'b' does not have as many values as 'a'"),
        (([1],), (), "predict", "1 columns without names came; the model takes 2"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns: Any, names: Any, verb: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        ask(columns, names, verb)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "MAX_ROWS", 2)
    with pytest.raises(TooLarge, match="at most 2 rows"):
        ask(([1, 2, 3], [1, 2, 3]))
