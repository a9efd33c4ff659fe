"""Whole columns against a field: an array, or None when some value is wrong.

float64 for numbers, datetime64 for times, objects for the rest (None is missing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import TooLarge
from craton.core.predicting import Field
from craton.engines.predictor.pictures import MAX_NUMBERS, NoPicture, decoded, from_text

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PACKED = "<f8"
_NOTHING = type(None)
_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({"number", "integer"})


def read_values(field: Field, column: list[Any]) -> Array | None:
    return _READERS[field.kind](field, column)


def read_packed(field: Field, column: bytes) -> Array | None:
    """None also for numbers where the field wants something else."""
    import numpy as np

    if field.kind not in _PLAIN:
        return read_values(field, unpacked(column))
    return read_numbers(field, np.frombuffer(column, PACKED))


def read_numbers(field: Field, numbers: Array) -> Array | None:
    """NaN is a gap: packed numbers have no other."""
    import numpy as np

    present = numbers[~np.isnan(numbers)] if field.nullable else numbers
    if not np.isfinite(present).all() or (field.kind == "integer" and not are_whole(present)):
        return None
    return numbers


def unpacked(packed: bytes) -> list[Any]:
    """One by one, to be told; None where one is missing."""
    import numpy as np

    return [None if value != value else value for value in np.frombuffer(packed, PACKED).tolist()]  # noqa: PLR0124


def are_whole(numbers: Array) -> bool:
    import numpy as np

    return bool((numbers == np.floor(numbers)).all())


def is_category(field: Field, value: Any) -> bool:
    """Of the right type. One that training has not seen is no fault: the model has an answer for it, and drift counts
    it."""
    if value is None:
        return field.nullable
    kinds = _types_of(field)
    return type(value) in kinds or (int in kinds and isinstance(value, float) and value.is_integer())


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
    allowed = _types_of(field) | ({_NOTHING} if field.nullable else set())
    kinds = set(map(type, column))
    if kinds <= allowed and float not in kinds:
        return _objects(column)
    return _objects(column) if all(is_category(field, value) for value in column) else None


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
