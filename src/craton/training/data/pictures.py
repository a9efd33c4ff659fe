"""Columns of pictures as arrays of one size: files in Parquet, as the Hub's Image feature has them, or plain bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from craton.core.errors import InvalidRequest
from craton.data.viewing.values import Feature
from craton.engines.predictor.pictures import NoPicture, decoded, opened, size_of
from craton.training.data.rows import IMAGE
from craton.training.methods.deep.memory import available
from craton.training.specification.parts import Pictures

if TYPE_CHECKING:
    import pandas as pd

LARGEST, USUAL = 128, 64  # pixels of a side: pictures that are alike keep their size up to there, others become squares
MOST_FAULTS = 10
BYTES = 12  # of each number while a network learns: the picture's own, the tensor's, a batch's

Shape = tuple[int, int, int]
T = TypeVar("T")


def is_picture(feature: Feature | None) -> bool:
    """The Hub's Image, or the struct that it is stored as."""
    return isinstance(feature, dict) and (feature.get("_type") == IMAGE or feature.keys() == {"bytes", "path"})


def is_bytes(feature: Feature | None) -> bool:
    """A column of bytes: pictures, where the user says so by naming it."""
    return isinstance(feature, dict) and str(feature.get("dtype")) in {"binary", "large_binary", "binary_view"}


def shape_of(column: pd.Series[Any], wanted: Pictures | None, say: Callable[[str], None]) -> Shape:
    """What its pictures are brought to. Raises InvalidRequest that names rows, also when they take too much memory."""
    shape: Shape
    if wanted is not None:
        shape = (wanted.height, wanted.width, wanted.channels)
    else:
        found = {*_each(column, lambda content: size_of(opened(content)))}
        shape = next(iter(found))
        if len(found) > 1 or max(shape[:2]) > LARGEST:
            shape = (USUAL, USUAL, max(channels for *_, channels in found))
            say(f"The pictures in {column.name!r} are brought to {USUAL} x {USUAL} pixels (data.pictures).")
    needed, free = len(column) * shape[0] * shape[1] * shape[2] * BYTES, available()
    if free is not None and needed > free:
        raise InvalidRequest(
            f"{len(column):,} pictures of {shape[0]} x {shape[1]} pixels take about {needed / 2**30:.1f} GB of memory "
            f"and {free / 2**30:.1f} GB are free: make them smaller, or take fewer rows (data.limit)",
            "data.pictures",
        )
    return shape


def as_arrays(column: pd.Series[Any], shape: Shape) -> pd.Series[Any]:
    """Raises InvalidRequest that lists at most ten rows."""
    import pandas as pd

    return pd.Series(_each(column, lambda content: decoded(content, shape)), index=column.index, dtype=object)


def _each(column: pd.Series[Any], read: Callable[[bytes], T]) -> list[T]:
    found, faults = [], []
    for row, value in column.items():
        try:
            found.append(read(_file(value)))
        except NoPicture as error:
            faults.append(f"row {row}, column {column.name!r}: {error}")
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS:,} more" if len(faults) > MOST_FAULTS else ""
        raise InvalidRequest("; ".join(faults[:MOST_FAULTS]) + more, "data")
    if not found:
        raise InvalidRequest(f"the column {column.name!r} has no rows", "data.features")
    return found


def _file(value: Any) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return content
    if isinstance(value, dict) and value.get("path"):
        raise NoPicture(f"it names a file ({str(value['path'])[:80]!r}) and does not hold it")
    raise NoPicture("it is missing")
