"""Every form of rows means the same; what is no rows is refused with its place."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.predicting import Block, Field, PredictAnswer, Signature
from craton.engines.predictor.arranging import arranged
from craton.serve.predicting import asked
from craton.wire.openinference.tensors import Tensor, columns_of
from craton.wire.rows.reading import Table, read_table, usual_verb
from craton.wire.rows.writing import answer_type, as_csv, records

AGE, PLAN = Field("age", "number"), Field("plan", "category", categories=("free", "gold"))
SIGNATURE = Signature((AGE, PLAN), {"predict": (), "learn": ()}, Field("left", "boolean"))
POINTS = Signature((Field("observation", "vector", shape=(3,)),), {"act": ()})
ROWS = [{"age": 1.5, "plan": "free"}, {"age": 2, "plan": None}]
COLUMNS = ([1.5, 2], ["free", None])
LISTS = [[1.5, "free"], [2, None]]


def read(body: Any, signature: Signature = SIGNATURE, kind: str = "application/json", verb: Any = "predict") -> Table:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_table(raw, kind, signature, verb)


@pytest.mark.parametrize(
    "body",
    [
        ROWS,
        *({name: ROWS} for name in ("rows", "instances", "inputs", "dataframe_records")),
        {"columns": {"age": [1.5, 2], "plan": ["free", None]}},
        {"inputs": {"age": [1.5, 2], "plan": ["free", None]}},
        {"rows": LISTS, "names": ["age", "plan"]},
        {"dataframe_split": {"columns": ["age", "plan"], "data": LISTS}},
    ],
)
def test_forms_mean_the_same(body: Any) -> None:
    assert read(body) == Table(COLUMNS, ("age", "plan"))


def test_rows_without_names_are_in_order() -> None:
    assert read(LISTS) == read({"rows": LISTS}) == Table(COLUMNS, ())
    assert read([]) == read({"rows": []}) == Table((), ())
    assert read({"rows": [], "names": ["age", "plan"]}) == Table(([], []), ("age", "plan"))


def test_a_name_that_only_some_rows_have_is_missing_in_the_others() -> None:
    assert read([{"age": 1}, {"plan": "free"}]) == Table(([1, None], [None, "free"]), ("age", "plan"))


def test_vectors_may_be_the_rows_themselves() -> None:
    vectors = [[1, 2, 3], [4, 5, 6]]
    for body in ({"rows": vectors}, {"rows": [[row] for row in vectors]}, {"columns": {"observation": vectors}}):
        assert read(body, POINTS).columns == (vectors,)


def test_rows_of_numbers_alone_are_one_block_and_mean_the_same() -> None:
    numbers = Signature((Field("a", "number"), Field("b", "integer", nullable=True)), {"predict": ()})
    table = read({"rows": [[1.5, 2], [-3, 4]], "names": ["b", "a"]}, numbers)
    assert table == Table(Block(2, struct.pack("<4d", 1.5, 2, -3, 4)), ("b", "a"))
    request = arranged(numbers, table.request("m", "predict"))
    assert (request.names, request.rows) == (("a", "b"), 2)
    assert asked(request).first == ((2.0, 1.5), (4.0, -3.0))
    named = read([{"b": 1.5, "a": 2}, {"a": 4, "b": -3}], numbers)
    assert named == read({"instances": [{"b": 1.5, "a": 2}, {"a": 4, "b": -3}]}, numbers)
    request = arranged(numbers, named.request("m", "predict"))
    assert (request.columns, request.names, request.rows) == (named.columns, ("a", "b"), 2)
    assert asked(request).first == ((2.0, 1.5), (4.0, -3.0))
    assert read([[1, 2]], numbers) == Table(Block(2, struct.pack("<2d", 1, 2)), ())
    assert read([{"a": 1}, {"b": 2}], numbers).columns == ([1, None], [None, 2])
    assert read([{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}], numbers).names == ("a", "b", "c")
    for other, columns in (
        ([[1, None], [2, 3]], ([1, 2], [None, 3])),
        ([[1, "2"]], ([1], ["2"])),
        ([[True, 2]], ([True], [2])),
        ([[1, 2, 3]], ([1], [2], [3])),
    ):
        assert read({"rows": other}, numbers).columns == columns
    with pytest.raises(InvalidRequest, match="row 1: 1 values, not 2"):
        read({"rows": [[1, 2], [3]]}, numbers)
    with pytest.raises(InvalidRequest, match="more than one of"):
        read({"rows": [[1, 2]], "inputs": [[1, 2]]}, numbers)


def test_names_of_columns_may_be_anything() -> None:
    odd = Signature((Field("größe", "number"), Field("class", "number"), Field("", "number")), {"predict": ()})
    body = [{"größe": 1, "class": 2, "": 3}, {"": 6, "class": 5, "größe": 4}]
    assert read(json.dumps(body, ensure_ascii=False), odd).columns == Block(3, struct.pack("<6d", 1, 2, 3, 4, 5, 6))


def test_targets_and_verbs_stand_beside_the_rows() -> None:
    assert read({"rows": ROWS, "target": [True, False]}).columns == (*COLUMNS, [True, False])
    assert read({"rows": ROWS, "target": [True, False]}).names == ("age", "plan", "left")
    assert read({"rows": LISTS, "verb": "predict_proba"}).verb == "predict_proba"
    with pytest.raises(InvalidRequest, match="learns from nothing"):
        read({"rows": [[1, 2, 3]], "target": [1]}, POINTS)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("7", "Expected object, got int"),
        ("{}", "none of rows, instances"),
        ({"rows": [], "columns": {}}, "more than one of"),
        ({"rows": [], "model": "x"}, "'model' is not known beside 'rows'"),
        ({"rows": 5}, "rows: Expected array, got int"),
        ({"rows": [{"age": {"a": 1}}]}, r"got object - at \$\[0\]\[\.\.\.\]"),
        ({"rows": [{"age": 1}, [1]]}, r"Expected object, got array - at \$\[1\]"),
        ({"rows": [[1, 2], [1]]}, "row 1: 1 values, not 2"),
        ({"rows": [[1]], "names": ["a", "b"]}, "row 0: 1 values, not 2"),
        ({"rows": ROWS, "names": ["a", "b"]}, "name their columns themselves"),
        ({"rows": [], "verb": "guess"}, "must be one of act, learn, predict"),
        ({"columns": {"age": 5}}, "columns: Expected array, got int"),
        (b"[[1", "not valid JSON"),
        (b'["\xff"]', "not valid UTF-8"),
        ("[" * 500 + "]" * 500, "rows"),
    ],
)
def test_what_is_no_rows_is_refused(body: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read(body)


def test_csv_cells_become_what_their_column_holds() -> None:
    fields = (
        Field("n", "number", nullable=True),
        Field("i", "integer"),
        Field("b", "boolean"),
        Field("c", "category", categories=(1, 2)),
        Field("t", "text"),
        Field("v", "vector", shape=(2,)),
    )
    signature = Signature(fields, {"predict": ()})
    body = '1.5, 2,TRUE,1,"a ""b"", c","[1, 2.5]"\r\n\r\n,3,0,7,,"[0,0]"\r\n'
    table = read(body, signature, "text/csv")
    assert table.columns == ([1.5, None], [2, 3], [True, False], [1, 7], ['a "b", c', ""], [[1, 2.5], [0, 0]])
    assert table.names == ()
    assert read("b,n\n1,2\n", signature, "text/csv; charset=utf-8") == Table(([True], [2.0]), ("b", "n"))
    assert read("x,y\n1,2\n", signature, "text/csv; header=present").names == ("x", "y")
    assert read("1,2\n", POINTS, "text/csv; header=present").columns == ([], [])
    nonsense = read("one,2.5,maybe,x,,nothing", signature, "text/csv").columns
    assert nonsense == (["one"], [2.5], ["maybe"], ["x"], [""], ["nothing"])


def test_other_types_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"Send application/json or text/csv"):
        read(b"x", kind="application/x-parquet")
    assert answer_type("*/*", "text/csv") == answer_type("", "text/csv") == "text/csv"
    assert answer_type("application/json;q=0.9, text/csv", "text/csv") == "application/json"
    with pytest.raises(Unsupported, match="Accept application/json or text/csv"):
        answer_type("image/png", "text/csv")


def test_answers_are_rows_or_lines() -> None:
    fields = (Field("label", "category"), Field("shares", "vector", categories=("no", "yes"), shape=(2,)))
    answer = PredictAnswer(("label", "shares"), (["no", "a,b"], [[0.75, 0.25], [0.5, 0.5]]))
    assert records(answer)[0] == {"label": "no", "shares": [0.75, 0.25]}
    assert as_csv(answer, fields, header=True) == b'label,shares_no,shares_yes\r\nno,0.75,0.25\r\n"a,b",0.5,0.5\r\n'


def test_tensors_are_columns() -> None:
    columns, names = columns_of([Tensor("observation", [2, 3], "FP32", [1, 2, 3, 4, 5, 6])], POINTS)
    assert (columns, names) == (([[1, 2, 3], [4, 5, 6]],), ("observation",))
    columns, names = columns_of([Tensor("input-0", [2, 2], "FP64", [[1, 2], [3, 4]])], SIGNATURE)
    assert (columns, names) == (([1, 3], [2, 4]), ())
    for tensor, told in (
        (Tensor("age", [2], "FLOAT", [1, 2]), r"inputs\[0\].datatype: must be one of"),
        (Tensor("age", [], "FP64", []), r"inputs\[0\].shape"),
        (Tensor("age", [3], "FP64", [1, 2]), "its shape asks for 3"),
        (Tensor("age", [1, 3], "FP64", [1, 2, 3]), r"the shape \[rows\] or \[rows, 1\]"),
        (Tensor("age", [2], "FP64", [[1], 2]), "not as deep everywhere"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            columns_of([tensor], SIGNATURE)


def test_what_a_model_is_asked_where_nothing_is_said() -> None:
    assert usual_verb(SIGNATURE) == "predict"
    assert usual_verb(POINTS) == "act"
