"""Values against the signature, column by column: the usual case is checked at once, only a broken column is walked.

What is wrong is said by row and column ("row 3, column 'age': 'abc' is not a number"); rows count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.predicting import Block, Field
from craton.engines.predictor.pictures import MAX_NUMBERS, NoPicture, decoded, from_text
from craton.engines.predictor.tables import Table

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_FAULTS = 10
PACKED = "<f8"
_NOTHING = type(None)
_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({"number", "integer"})
_SHOWN = 60  # characters of a wrong value


class Fault(NamedTuple):
    row: int
    column: str
    why: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.why}"


def checked(fields: Sequence[Field], columns: Sequence[list[Any] | bytes] | Block) -> Table:
    """An array for each column: float64 for numbers, datetime64 for times, objects for the rest (None is missing).

    A block of as many columns as there are fields. Raises InvalidRequest that lists at most ten faults.
    """
    if isinstance(columns, Block):
        return _checked_block(fields, columns)
    arrays, faults = [], list[Fault]()
    for field, column in zip(fields, columns, strict=True):
        array = _unpacked(field, column) if isinstance(column, bytes) else _READERS[field.kind](field, column)
        if array is None:
            faults += _faults(field, _values(column) if isinstance(column, bytes) else column)
        else:
            arrays.append(array)
    if faults:
        raise _refusal(faults)
    return Table(arrays)


def _checked_block(fields: Sequence[Field], block: Block) -> Table:
    """Looked at whole; column by column only where something is the matter."""
    import numpy as np

    matrix = np.frombuffer(block.numbers, block.kind).reshape(-1, block.width).astype(np.float64)  # writeable, too
    table = Table(list(matrix.T), matrix)
    whole = [place for place, field in enumerate(fields) if field.kind == "integer"]
    if np.isfinite(matrix).all() and (not whole or _are_whole(matrix[:, whole])):
        return table
    faults = list[Fault]()
    for field, column in zip(fields, table.columns, strict=True):
        if _numbers_of(field, column) is None:
            faults += _faults(field, _values(column.tobytes()))
    if faults:
        raise _refusal(faults)
    return table


def _unpacked(field: Field, column: bytes) -> Array | None:
    """None also for numbers where the field wants something else."""
    import numpy as np

    numbers = np.frombuffer(column, PACKED)
    return _numbers_of(field, numbers) if field.kind in _PLAIN else _READERS[field.kind](field, _values(column))


def _numbers_of(field: Field, numbers: Array) -> Array | None:
    """NaN is a gap: packed numbers have no other."""
    import numpy as np

    present = numbers[~np.isnan(numbers)] if field.nullable else numbers
    if not np.isfinite(present).all() or (field.kind == "integer" and not _are_whole(present)):
        return None
    return numbers


def _are_whole(numbers: Array) -> bool:
    import numpy as np

    return bool((numbers == np.floor(numbers)).all())


def _values(packed: bytes) -> list[Any]:
    """One by one, to be told; None where one is missing."""
    import numpy as np

    return [None if value != value else value for value in np.frombuffer(packed, PACKED).tolist()]  # noqa: PLR0124


def _refusal(faults: list[Fault]) -> InvalidRequest:
    faults.sort(key=lambda fault: fault.row)
    more = f"; and {len(faults) - MOST_FAULTS:,} more" if len(faults) > MOST_FAULTS else ""
    return InvalidRequest("; ".join(map(str, faults[:MOST_FAULTS])) + more, "rows")


# --- whole columns: an array, or None when some value is wrong ------------------------------------------------


def _numbers(field: Field, column: list[Any]) -> Array | None:
    import numpy as np

    kinds = set(map(type, column))
    if not kinds <= _NUMBERS and not (field.nullable and kinds <= _NUMBERS | {_NOTHING}):
        return None
    try:
        found = np.array(column, np.float64)
    except OverflowError:
        return None
    finite = np.isfinite(found)
    if not finite.all() and not (_NOTHING in kinds and _only_gaps(column, finite)):
        return None
    if field.kind == "integer" and float in kinds and not (found[finite] == np.floor(found[finite])).all():
        return None
    return found


def _only_gaps(column: list[Any], finite: Array) -> bool:
    return all(column[index] is None for index in (~finite).nonzero()[0].tolist())


def _booleans(field: Field, column: list[Any]) -> Array | None:
    import numpy as np

    kinds = set(map(type, column))
    if kinds <= {bool}:
        return np.array(column, bool)
    return _objects(column) if field.nullable and kinds <= {bool, _NOTHING} else None


def _categories(field: Field, column: list[Any]) -> Array | None:
    """Values of the right type that training has not seen are no fault: the model has an answer for them, and drift
    counts them."""
    allowed = _types_of(field) | ({_NOTHING} if field.nullable else set())
    kinds = set(map(type, column))
    if kinds <= allowed and float not in kinds:
        return _objects(column)
    return None if any(_category_fault(field, value) for value in column) else _objects(column)


def _texts(field: Field, column: list[Any]) -> Array | None:
    if field.embedder:
        return _vectors(field, column)
    allowed = {str, _NOTHING} if field.nullable else {str}
    return _objects(column) if set(map(type, column)) <= allowed else None


def _times(field: Field, column: list[Any]) -> Array | None:
    import numpy as np
    import pandas as pd

    if not set(map(type, column)) <= ({str, _NOTHING} if field.nullable else {str}):
        return None
    moments = pd.to_datetime(pd.Series(column, dtype=object), utc=True, errors="coerce", format="ISO8601")
    gaps = moments.isna().to_numpy()
    if gaps.any() and not all(column[index] is None for index in gaps.nonzero()[0].tolist()):
        return None
    found: Array = moments.dt.tz_localize(None).to_numpy(np.dtype("datetime64[us]"))
    return found


def _vectors(field: Field, column: list[Any]) -> Array | None:
    import numpy as np

    if any(value is None for value in column):
        if not field.nullable:
            return None
        whole = _vectors(field, [value for value in column if value is not None])
        if whole is None:
            return None
        rows = iter(whole)
        return _objects([None if value is None else next(rows) for value in column])
    try:
        found = np.array(column, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    size = int(np.prod(field.shape, dtype=np.int64))
    if len(column) and found.size != size * len(column):
        return None
    if len(column) and found.ndim > 2 and found.shape[1:] != tuple(field.shape):
        return None
    if _holds_text(column) or not np.isfinite(found).all():
        return None
    return found.reshape(len(column), *field.shape)


def _images(field: Field, column: list[Any]) -> Array | None:
    """Numbers, or files in base64."""
    import numpy as np

    if not any(isinstance(value, str) for value in column):
        return _vectors(field, column)
    numbers = len(column) * int(np.prod(field.shape, dtype=np.int64))
    if numbers > MAX_NUMBERS:
        raise TooLarge("The pictures of the request", MAX_NUMBERS, numbers, "numbers")
    found = np.empty((len(column), *field.shape), np.float32)
    for place, value in enumerate(column):
        if isinstance(value, str):
            try:
                found[place] = decoded(from_text(value), field.shape)
            except NoPicture:
                return None
        else:
            one = _vectors(field, [value])
            if one is None or one.dtype == object:
                return None
            found[place] = one[0]
    return found


_READERS = {
    "number": _numbers,
    "integer": _numbers,
    "boolean": _booleans,
    "category": _categories,
    "text": _texts,
    "time": _times,
    "vector": _vectors,
    "image": _images,
}


def _objects(values: list[Any]) -> Array:
    import numpy as np

    found = np.empty(len(values), object)
    for index, value in enumerate(values):  # numpy would make a matrix of rows that are arrays
        found[index] = value
    return found


def _types_of(field: Field) -> set[type]:
    kinds: set[type] = {type(category) for category in field.categories} or {str, int, bool}
    return kinds


def _holds_text(value: Any) -> bool:
    """numpy reads "12" and True as numbers."""
    if isinstance(value, list):
        return any(map(_holds_text, value))
    return isinstance(value, str | bool)


# --- single values: what is wrong with them -------------------------------------------------------------------


def _faults(field: Field, column: list[Any]) -> Iterator[Fault]:
    for row, value in enumerate(column):
        if why := _why(field, value):
            yield Fault(row, field.name, why)


def _why(field: Field, value: Any) -> str:
    if value is None:
        return "" if field.nullable else f"it is missing; the model needs {_wanted(field)} in every row"
    if field.kind == "category":
        return _category_fault(field, value)
    if field.kind == "image" and isinstance(value, str):
        return _picture_fault(field, value)
    return "" if _READERS[field.kind](field, [value]) is not None else f"{_show(value)} is not {_wanted(field)}"


def _picture_fault(field: Field, value: str) -> str:
    try:
        decoded(from_text(value), field.shape)
    except NoPicture as error:
        return str(error)
    return ""


def _category_fault(field: Field, value: Any) -> str:
    if value is None:
        return "" if field.nullable else f"it is missing; the model needs {_wanted(field)} in every row"
    kinds = _types_of(field)
    if type(value) in kinds or (int in kinds and isinstance(value, float) and value.is_integer()):
        return ""
    return f"{_show(value)} is not {_wanted(field)}"


def _wanted(field: Field) -> str:
    if field.kind == "category":
        some = ", ".join(repr(category) for category in islice(field.categories, 10))
        return f"one of {some}{' ...' if len(field.categories) > 10 else ''}" if some else "a category"
    if field.kind == "image":
        return f"a picture's file in base64, or {' x '.join(map(str, field.shape))} numbers"
    if field.shape and (field.kind != "text" or field.embedder):
        return f"a {field.kind if field.kind != 'text' else 'vector'} of {' x '.join(map(str, field.shape))} numbers"
    return {
        "number": "a finite number",
        "integer": "a whole number",
        "boolean": "true or false",
        "time": "a time as in 2026-01-31T12:00:00Z",
    }.get(field.kind, "a text")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
