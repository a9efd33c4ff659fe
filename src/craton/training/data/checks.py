"""What is wrong with rows, before anything is learned from them: refused where it must be, said where it may be."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SAMPLE = 20_000  # rows that leakage is looked for in
NEARLY = 0.999  # of the rows: one column alone says what is to be predicted
FEWEST = 30  # rows from which that is no chance
FEW, HARDLY = 2000, 0.98  # rows of which a column that says it all tells so much

Warn = Callable[[str], None]


def clean_target(frame: pd.DataFrame, target: str, warn: Warn, *, keep_missing: bool) -> pd.DataFrame:
    """The rows whose target is known. keep_missing: the method learns from the others, too.

    Raises InvalidRequest when it is unknown everywhere, infinite somewhere, or always the same.
    """
    import numpy as np

    column = frame[target]
    missing = column.isna()
    if missing.all():
        raise InvalidRequest(f"the column {target!r} is empty", "data.target")
    if column.dtype.kind == "f" and np.isinf(column).any():
        raise InvalidRequest(f"the column {target!r} holds infinite numbers", "data.target")
    if isinstance(column.dropna().iloc[0], Collection) and not isinstance(column.dropna().iloc[0], str):
        raise InvalidRequest(f"the column {target!r} holds neither texts nor numbers", "data.target")
    if column.nunique() < 2:
        raise InvalidRequest(
            f"the column {target!r} holds {column.dropna().iloc[0]!r} in every row: there is nothing to learn",
            "data.target",
        )
    if keep_missing or not missing.any():
        return frame
    warn(f"{int(missing.sum()):,} rows are left out: their {target!r} is missing.")
    return frame[~missing]


def clean_numbers(frame: pd.DataFrame, names: list[str], warn: Warn) -> pd.DataFrame:
    """Infinite numbers count as missing."""
    import numpy as np

    cleaned = {}
    for name in names:
        if frame[name].dtype.kind == "f":
            infinite = np.isinf(frame[name])
            if infinite.any():
                warn(f"{int(infinite.sum()):,} infinite numbers in {name!r} count as missing.")
                cleaned[name] = frame[name].mask(infinite)
    return frame.assign(**cleaned)


def warn_of_leaks(frame: pd.DataFrame, fields: tuple[Field, ...], target: Field, warn: Warn) -> list[str]:
    """The columns that give the answer away: equal to it, renamed, or enough alone. Warns of each."""
    sample = frame.head(SAMPLE)
    known = sample[sample[target.name].notna()]
    if len(known) < FEWEST:
        return []
    leaking = []
    for field in fields:
        reason = _leaks(known[field.name], field, known[target.name], target)
        if reason:
            leaking.append(field.name)
            warn(
                f"Leakage: the column {field.name!r} {reason} {target.name!r}. If it is known only when the answer is, "
                f"the figures below mean nothing: list it under data.drop."
            )
    return leaking


def _leaks(column: pd.Series[Any], field: Field, answer: pd.Series[Any], target: Field) -> str:
    """How, or ""."""
    if field.kind in {"text", "vector", "image"} or column.isna().all():
        return ""
    if _same_words(column.head(FEWEST), answer.head(FEWEST)) and _same_words(column, answer):
        return "is equal to"
    if target.categories:
        return _tells_class(column, field, answer)
    if field.kind in {"number", "integer"}:
        both = column.notna()
        related = abs(column[both].astype(float).corr(answer[both].astype(float)))
        return "is, but for its unit, equal to" if related > 1 - 1e-6 else ""
    return ""


def _same_words(column: pd.Series[Any], answer: pd.Series[Any]) -> bool:
    return bool(column.astype(str).equals(answer.astype(str)))


def _tells_class(column: pd.Series[Any], field: Field, answer: pd.Series[Any]) -> str:
    from pandas import factorize

    labels, _ = factorize(answer)
    values, distinct = factorize(column)
    classes = int(labels.max()) + 1
    if len(distinct) == classes and _share_told(values, labels) == 1.0 and _share_told(labels, values) == 1.0:
        return "says under other names exactly what is in"
    if len(distinct) <= len(column) / 10:
        told = _share_told(values, labels) > NEARLY
    elif field.kind in {"number", "integer", "time"}:
        told = _share_by_order(column, labels, classes) > NEARLY
    else:
        told = False
    return "alone says nearly always what is in" if told else ""


def _share_told(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    """Of the rows: those with the label that is the most frequent one beside their value."""
    import numpy as np

    known = values >= 0
    counts = np.zeros((int(values.max()) + 1, int(labels.max()) + 1))
    np.add.at(counts, (values[known], labels[known]), 1)
    return float(counts.max(axis=1).sum() / len(labels))


def _share_by_order(column: pd.Series[Any], labels: np.ndarray[Any, Any], classes: int) -> float:
    """The same for numbers, cut where it is best: into as many intervals as there are classes."""
    import numpy as np

    if classes > 20:
        return 0.0
    numbers = column.astype("int64").to_numpy() if column.dtype.kind == "M" else column.to_numpy(np.float64)
    if most_by_order(numbers[:FEW], labels[:FEW], classes) < HARDLY:
        return 0.0  # it does not tell a few rows, and will not tell all
    from sklearn.tree import DecisionTreeClassifier

    matrix = numbers.reshape(-1, 1)
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, classes), random_state=0)
    return float(tree.fit(matrix, labels).score(matrix, labels))


def most_by_order(numbers: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: int) -> float:
    """What that share is at most. In the numbers' order the labels make runs; an interval with r of them has at least
    r // 2 rows of other labels than its most frequent one, and all intervals together have all the runs."""
    import numpy as np

    known = ~np.isnan(numbers) if numbers.dtype.kind == "f" else np.ones(len(numbers), dtype=bool)
    ordered = labels[known][np.argsort(numbers[known], kind="stable")]
    runs = 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
    return 1 - max(0, runs - max(2, classes)) / 2 / len(labels)
