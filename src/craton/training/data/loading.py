"""Rows -> tables: the target understood, faults found, features chosen, parts split. Blocking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.data.checks import clean_numbers, clean_target, warn_of_leaks
from craton.training.data.kinds import decode_labels, looks_like_classes, target_field, understand
from craton.training.data.pictures import as_arrays, is_bytes, is_picture, shape_of
from craton.training.data.rows import Rows
from craton.training.data.splitting import split_rows
from craton.training.protocol import Tables
from craton.training.specification.methods import (
    Classification,
    Clustering,
    Ensemble,
    Online,
    Reduction,
    Regression,
    Reinforcement,
    SemiSupervised,
    Specification,
    Topics,
)
from craton.training.specification.parts import Data, Split
from craton.training.specification.reading import method_of
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from craton.training.protocol import Embed

READS_TEXT = frozenset({"rnn", "transformer"})
"""The networks that take words, not vectors of them."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """name: the model with its revision. length: of a vector."""

    name: str
    length: int
    embed: Embed


def task_of(spec: Specification, column: pd.Series[Any]) -> Literal["classification", "regression"]:
    """What is to be learned of the target."""
    if isinstance(spec, Classification | SemiSupervised | Topics):
        return "classification"
    if isinstance(spec, Regression):
        return "regression"
    asked = getattr(spec, "task", None)
    if asked in {"classification", "regression"}:
        return "regression" if asked == "regression" else "classification"
    return "classification" if looks_like_classes(column) else "regression"


def default_split(spec: Specification) -> Split:
    """Where the specification and the dataset say nothing: a stream is learned from as a whole, each row judged before
    its lesson, and what has no target has nothing to be judged by on other rows."""
    whole = isinstance(spec, Online | Clustering | Reduction | Topics)
    return Split(test=0.0) if whole else Split()


def columns_needed(data: Data, known: list[str]) -> list[str]:
    """The columns that are read, in the data's order. Raises InvalidRequest for one that there is not."""
    named = [*(data.features or ()), *data.drop, *data.text]
    named += [name for name in (data.target, data.sensitive) if name]
    if data.split is not None and data.split.column:
        named.append(data.split.column)
    for name in named:
        if name not in known:
            raise InvalidRequest(unknown("column", name, known), "data")
    if data.features is not None:
        wanted = {*named} - ({*data.drop} - {data.target, data.sensitive})
        return [name for name in known if name in wanted]
    return [name for name in known if name not in data.drop or name in {data.target, data.sensitive}]


def tables(
    spec: Specification, rows: Rows, embedding: Callable[[], Embedding] | None, warn: Callable[[str], None]
) -> Tables:
    """embedding: looked for when there is a text that the method does not read itself. Raises InvalidRequest, and what
    `embedding` raises."""
    assert not isinstance(spec, Reinforcement)
    data = spec.data
    frame = decode_labels(rows.train, rows.features)
    if rows.target is not None and not _wants_target(spec):
        frame = frame.drop(columns=rows.target)
    known = columns_needed(data, [*frame.columns])
    target_name = data.target or (rows.target if _wants_target(spec) else None)
    frame = frame[known if target_name in (None, *known) else [*known, target_name]]
    if not len(frame):
        raise InvalidRequest("has no rows", "data.ref")
    own_test = None if rows.test is None or data.split is not None else decode_labels(rows.test, rows.features)
    classes = False
    if target_name is not None:
        keep = isinstance(spec, SemiSupervised) and spec.labeled is None
        frame = clean_target(frame, target_name, warn, keep_missing=keep)
        classes = task_of(spec, frame[target_name]) == "classification"
        target_field(target_name, frame[target_name], classes=classes)  # refuses what cannot be one
        if own_test is not None:
            own_test = own_test[own_test[target_name].notna()]
    names = feature_names(data, [*frame.columns], target_name)
    rows, frame, own_test = _with_pictures(spec, rows, frame, own_test, names, warn)
    frame = clean_numbers(frame.reset_index(drop=True), names, warn)
    split = data.split or (Split(test=0.0) if own_test is not None else default_split(spec))
    stratify = frame[target_name] if classes and target_name is not None and frame[target_name].notna().all() else None
    parts = split_rows(frame, split, spec.seed, stratify)
    for sentence in parts.warnings:
        warn(sentence)
    train, validation, test = (
        frame.iloc[places].reset_index(drop=True) for places in (parts.train, parts.validation, parts.test)
    )
    if own_test is not None:
        test = clean_numbers(own_test[[*frame.columns]].reset_index(drop=True), names, warn)
    target = None if target_name is None else target_field(target_name, train[target_name], classes=classes)
    fields, embed = _fields(spec, rows, frame, names, embedding, warn)
    if target is not None:
        warn_of_leaks(train, fields, target, warn)
    return Tables(train, validation, test, fields, target, embed, data.sensitive)


def feature_names(data: Data, columns: list[str], target: str | None) -> list[str]:
    """Raises InvalidRequest when the target is a feature, or nothing is left."""
    if data.features is not None:
        if target in data.features:
            raise InvalidRequest(f"{target!r} is what is to be predicted, it cannot be a feature", "data.features")
        return list(data.features)
    group = data.split.column if data.split is not None and data.split.by == "group" else ""
    names = [name for name in columns if name not in {target, data.sensitive, group, *data.drop}]
    if not names:
        raise InvalidRequest("leaves no column to learn from", "data")
    return names


def _fields(
    spec: Specification,
    rows: Rows,
    frame: pd.DataFrame,
    names: list[str],
    embedding: Callable[[], Embedding] | None,
    warn: Callable[[str], None],
) -> tuple[tuple[Field, ...], Embed | None]:
    assert not isinstance(spec, Reinforcement)
    data, reads = spec.data, _reads_text(spec)
    chosen = data.features is not None
    columns = understand(rows, frame, names, chosen=chosen, texts=data.text, embedder=("", 0))
    embed = None
    if not reads and any(field.kind == "text" for field in columns.fields):
        if embedding is None:
            raise InvalidRequest("holds text, and nothing here embeds it", "data.features")
        found = embedding()
        embed = _remembering(found.embed)
        kind = (found.name, found.length)
        columns = understand(rows, frame, names, chosen=chosen, texts=data.text, embedder=kind)
    for name, reason in columns.left_out.items():
        warn(f"The column {name!r} is left out: {reason}.")
    if not columns.fields:
        raise InvalidRequest("has no column that can be learned from", "data.features")
    return columns.fields, embed


def _with_pictures(
    spec: Specification,
    rows: Rows,
    frame: pd.DataFrame,
    own_test: pd.DataFrame | None,
    names: list[str],
    warn: Callable[[str], None],
) -> tuple[Rows, pd.DataFrame, pd.DataFrame | None]:
    """Files become arrays where the method reads pictures, or the user named the column."""
    assert not isinstance(spec, Reinforcement)
    if spec.data.features is None and not _reads_pictures(spec):
        return rows, frame, own_test
    shapes = {}
    for name in names:
        feature = rows.features.get(name)
        if is_picture(feature) or is_bytes(feature):
            shapes[name] = shape_of(frame[name], spec.data.pictures, warn)
            frame = frame.assign(**{name: as_arrays(frame[name], shapes[name])})
            if own_test is not None:
                own_test = own_test.assign(**{name: as_arrays(own_test[name], shapes[name])})
    return replace(rows, images={**rows.images, **shapes}), frame, own_test


def _remembering(embed: Embed) -> Embed:
    """The same texts are asked for again when the model is judged and tried out."""
    known: dict[str, Any] = {}

    def remembered(texts: list[str]) -> np.ndarray[Any, Any]:
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return remembered


def reads_text(method: str, use: str) -> bool:
    """Whether it takes words, not vectors of them."""
    return method == "transfer" or (method == "deep" and use in READS_TEXT)


def _reads_text(spec: Specification) -> bool:
    if isinstance(spec, Ensemble):
        return all(reads_text(member.method, member.use) for member in spec.members)
    return reads_text(method_of(spec), spec.model.use)


def _reads_pictures(spec: Specification) -> bool:
    uses = [(member.method, member.use) for member in spec.members] if isinstance(spec, Ensemble) else []
    return ("deep", "cnn") in [*uses, (method_of(spec), spec.model.use)]


def _wants_target(spec: Specification) -> bool:
    """Sets that know their own target lose it where nothing is to be predicted."""
    return not isinstance(spec, Clustering | Reduction | Topics)
