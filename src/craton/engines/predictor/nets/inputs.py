"""Rows as the arrays that networks take: the same while training and while serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.nets.architecture import AnyArchitecture, Cnn, Mlp, Network, text_field
from craton.engines.predictor.nets.vocabulary import numbers
from craton.engines.predictor.preprocessing import encode, width

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]


def input_shape(architecture: AnyArchitecture, fields: tuple[Field, ...]) -> tuple[int, ...]:
    """Of one row's array. Raises InvalidRequest for columns that such a network does not take."""
    if isinstance(architecture, Mlp):
        _refuse_text(fields, "mlp")
        return (width(fields, "one-hot"),)
    if isinstance(architecture, Cnn):
        if len(fields) != 1 or fields[0].kind != "image":
            raise InvalidRequest("a cnn reads one column of pictures; name it in data.features", "model.use")
        height, across, channels = _three(fields[0].shape)
        return (channels, height, across)
    if text_field(fields) is not None:
        return (architecture.length,)
    _refuse_text(fields, "rnn or transformer", alone=True)
    if len(fields) == 1 and fields[0].shape:
        steps = fields[0].shape[0]
        return (steps, max(1, _size(fields[0].shape) // max(1, steps)))
    return (width(fields, "one-hot"), 1)


def arrays(rows: pd.DataFrame, fields: tuple[Field, ...], network: Network) -> tuple[Array, int]:
    """float32, or int64 for texts; shape (rows, *shape.inputs). And how many texts were too long, and cut."""
    import numpy as np

    made_of, shape = network.architecture, network.shape.inputs
    text = text_field(fields)
    if text is not None and not isinstance(made_of, Mlp | Cnn):
        return numbers(rows[text.name].tolist(), network.vocabulary, made_of.tokens, made_of.length)
    if isinstance(made_of, Cnn):  # row by row: as one matrix of float64, pictures would take twice their memory
        channels, height, across = shape
        found = np.empty((len(rows), *shape), np.float32)
        for place, picture in enumerate(rows[fields[0].name]):
            found[place] = np.asarray(picture, np.float32).reshape(height, across, channels).transpose(2, 0, 1)
        return found, 0
    return encode(rows, fields, "one-hot").astype(np.float32).reshape(-1, *shape), 0


def _refuse_text(fields: tuple[Field, ...], use: str, *, alone: bool = False) -> None:
    for field in fields:
        if field.kind == "text" and not field.embedder:
            what = (
                "reads one column of text and nothing beside it; name it in data.features" if alone else "takes no text"
            )
            raise InvalidRequest(f"a network {use} {what} ({field.name!r})", "model.use")


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    height, across, *channels = shape
    return height, across, channels[0] if channels else 1


def _size(shape: tuple[int, ...]) -> int:
    found = 1
    for length in shape:
        found *= length
    return found
