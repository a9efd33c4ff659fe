"""From a body to columns.

JSON: {"rows": [{"age": 31, "plan": "free"}, ...]}, {"rows": [[31, "free"], ...], "names": ["age", "plan"]} (without
names: in the signature's order), {"columns": {"age": [31], "plan": ["free"]}}, or the list of rows alone. What others
write means the same: "instances", "inputs", "dataframe_records", and {"dataframe_split": {"columns": [], "data": []}}.
The rows of a model with one vector may be the vectors themselves. Beside them "verb", and "target" for `learn`, which
may also be a column of the rows.
CSV: a first line that holds names of the model's columns is a header; without one, columns come in the signature's
order. An empty cell is a missing value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, get_args

import msgspec

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.predicting import Block, Field, PredictRequest, PredictVerb, Signature
from craton.engines.predictor.arranging import taken, takes_numbers
from craton.wire.rows.cells import typed
from craton.wire.rows.csv import read_csv
from craton.wire.rows.numbers import read_numbers

JSON, CSV = "application/json", "text/csv"
VERBS: frozenset[str] = frozenset(get_args(PredictVerb))
_ROWS = ("rows", "instances", "inputs", "dataframe_records")
_SHAPES = (*_ROWS, "columns", "dataframe_split")
_BESIDE = frozenset({"names", "target", "verb"})
_MOST_FAULTS = 10

T = TypeVar("T")
_Number = int | float | bool | str | None
Cell = _Number | list[_Number | list[_Number | list[_Number | list[_Number]]]]
"""A value, or a vector or picture: of no more dimensions than pictures have, so that nobody's nesting is deeper."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Cell]])
_LISTS = msgspec.json.Decoder(list[list[Cell]])
_COLUMNS = msgspec.json.Decoder(dict[str, list[Cell]])
_COLUMN = msgspec.json.Decoder(list[Cell])
_NAMES = msgspec.json.Decoder(list[str])
_TEXT = msgspec.json.Decoder(str)


class Table(NamedTuple):
    """columns: of equal length, or a block of numbers. names: empty when they came without. verb: as the body says."""

    columns: tuple[list[Any] | bytes, ...] | Block
    names: tuple[str, ...]
    verb: PredictVerb | None = None

    def request(self, model: str, verb: PredictVerb) -> PredictRequest:
        return PredictRequest(model, verb, self.columns, self.names)


def media_type(header: str) -> str:
    """JSON or CSV; JSON where nothing is said. Raises Unsupported."""
    kind = header.partition(";")[0].strip().lower()
    if kind in {"", JSON, "application/octet-stream"} or kind.endswith("+json"):
        return JSON
    if kind == CSV:
        return CSV
    raise Unsupported(f"A body of the type {kind[:100]!r}", f"Send {JSON} or {CSV}.")


def verb_of(text: str) -> PredictVerb:
    """Raises InvalidRequest."""
    for verb in get_args(PredictVerb):
        if verb == text:
            found: PredictVerb = verb
            return found
    raise InvalidRequest(f"must be one of {', '.join(sorted(VERBS))}, not {text[:50]!r}", "verb")


def usual_verb(signature: Signature) -> PredictVerb:
    """What a model is asked where nothing is said: to predict, or the first of what else it can do."""
    return next(iter(sorted(signature.outputs, key=("predict", "act", "transform", "predict_proba", "learn").index)))


def read_table(body: bytes, content_type: str, signature: Signature, verb: PredictVerb) -> Table:
    """Raises InvalidRequest, Unsupported for other types."""
    fields = taken(signature, verb)
    if media_type(content_type) == CSV:
        names, rows = read_csv(body, content_type, fields)
        return _typed(fields, names, rows)
    if takes_numbers(signature) and (numbers := read_numbers(body, tuple(field.name for field in signature.inputs))):
        return Table(*numbers)
    return _read_json(body, signature)


def _typed(fields: Sequence[Field], names: tuple[str, ...], rows: list[list[str]]) -> Table:
    known = {field.name: field for field in fields}
    width = len(names) or len(fields)
    columns = _turned(rows, width, "line") if rows else tuple([] for _ in range(width))
    told = names or tuple(field.name for field in fields)
    return Table(
        tuple(
            typed(known[name], column) if name in known else column for name, column in zip(told, columns, strict=True)
        ),
        names,
    )


def _read_json(body: bytes, signature: Signature) -> Table:
    if _begins(body) == b"[":
        return _from_rows(body, (), "rows", signature)
    value = _decoded(_MEMBERS, body, "")
    shapes = [name for name in _SHAPES if name in value]
    if len(shapes) != 1:
        what = "more than one of" if shapes else "none of"
        raise InvalidRequest(f"the body has {what} {', '.join(_SHAPES)}")
    unknown = value.keys() - _BESIDE - {shapes[0]}
    if unknown:
        raise InvalidRequest(f"{min(unknown)[:100]!r} is not known beside {shapes[0]!r}")
    table = _shaped(shapes[0], value, signature)
    if "target" in value:
        table = _with_target(table, _decoded(_COLUMN, bytes(value["target"]), "target"), signature)
    if "verb" in value:
        table = table._replace(verb=verb_of(_decoded(_TEXT, bytes(value["verb"]), "verb")))
    return table


def _shaped(shape: str, value: dict[str, msgspec.Raw], signature: Signature) -> Table:
    inner = bytes(value[shape])
    if shape == "columns" or (shape == "inputs" and _begins(inner) == b"{"):
        columns = _decoded(_COLUMNS, inner, shape)
        return Table(tuple(columns.values()), tuple(columns))
    if shape == "dataframe_split":
        split = _decoded(_MEMBERS, inner, shape)
        if "data" not in split:
            raise InvalidRequest('must be {"columns": [...], "data": [[...]]}', shape)
        return _from_rows(bytes(split["data"]), _names(split, "columns"), f"{shape}.data", signature)
    return _from_rows(inner, _names(value, "names"), shape, signature)


def _with_target(table: Table, target: list[Any], signature: Signature) -> Table:
    if signature.target is None:
        raise InvalidRequest("this model learns from nothing", "target")
    assert isinstance(table.columns, tuple)  # blocks come without targets
    names = (*table.names, signature.target.name) if table.names else ()
    return table._replace(columns=(*table.columns, target), names=names)


def _from_rows(raw: bytes, names: tuple[str, ...], where: str, signature: Signature) -> Table:
    """Of which kind they are is what the first one is; no other kind is decoded."""
    first = _begins(raw[raw.index(b"[") + 1 :][:64]) if _begins(raw) == b"[" else b""
    if first == b"{":
        if names:
            raise InvalidRequest("rows that are objects name their columns themselves", "names")
        return _from_objects(_decoded(_OBJECTS, raw, where))
    if first == b"[":
        rows = _decoded(_LISTS, raw, where)
        if len(signature.inputs) == 1 and signature.inputs[0].shape and not _is_wrapped(rows[0]):
            return Table((rows,), names)
        return Table(_turned(rows, len(names) or len(rows[0]), "row"), names)
    column = _decoded(_COLUMN, raw, where)  # of a model with one column, or no rows at all
    return Table((column,), names) if column else Table(tuple([] for _ in names), names)


def _is_wrapped(row: list[Any]) -> bool:
    """Of a model with one vector: whether the row is a list that holds it, and not the vector itself."""
    return len(row) == 1 and isinstance(row[0], list)


def _from_objects(rows: list[dict[str, Any]]) -> Table:
    """A name that only some rows have is a missing value in the others; what the model says to that is its business."""
    first = rows[0].keys()
    names = tuple(first)
    if all(row.keys() == first for row in rows):
        return Table(tuple([row[name] for row in rows] for name in names), names)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(tuple([row.get(name) for row in rows] for name in names), names)


def _turned(rows: list[Any], width: int, word: str) -> tuple[list[Any], ...]:
    wrong = [index for index, row in enumerate(rows) if not isinstance(row, list) or len(row) != width]
    if wrong:
        shown = "; ".join(f"{word} {index}: {_width(rows[index])}, not {width}" for index in wrong[:_MOST_FAULTS])
        more = f"; and {len(wrong) - _MOST_FAULTS} more" if len(wrong) > _MOST_FAULTS else ""
        raise InvalidRequest(shown + more, "rows")
    return tuple(map(list, zip(*rows, strict=True)))


def _width(row: Any) -> str:
    return f"{len(row)} values" if isinstance(row, list) else "no list"


def _names(value: dict[str, msgspec.Raw], member: str) -> tuple[str, ...]:
    names: list[str] = _decoded(_NAMES, bytes(value[member]), member) if member in value else []
    return tuple(names)


def _begins(raw: bytes) -> bytes:
    return raw[:64].lstrip()[:1]


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes, where: str) -> T:
    """Raises InvalidRequest."""
    try:
        if not raw.isascii():
            str(raw, "utf-8")
        return decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not valid UTF-8") from error
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error).replace("`", "")[:300], where) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
