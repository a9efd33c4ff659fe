"""Do live rows still look like those that a model was trained on? Counted in bins, compared bin by bin.

Training counts its rows once (`reference_of`; the manifest keeps it as parameters["reference"]). A worker counts the
rows that it is asked about into the same bins (`Watch`); the server adds them up and compares (`compared`).

PSI, the population stability index: the sum over bins of (live - trained) * ln(live / trained), shares of the rows.
Siddiqi, "Credit Risk Scorecards" (2006): below 0.1 nothing happened, from 0.25 on much did. With few rows it is large
by chance alone: times n * m / (n + m) it is distributed like chi-squared with bins - 1 degrees of freedom (Yurdakul,
"Statistical Properties of Population Stability Index", 2018), so what that explains (99.9%) is no drift.
KS, after Kolmogorov and Smirnov: the largest distance between the two cumulative shares, here at the bins' edges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from craton.core.predicting import Field
from craton.engines.predictor.tables import Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Matrix = np.ndarray[Any, np.dtype[np.float64]]
    Column = np.ndarray[Any, Any]

BINS = 10
LITTLE, MUCH = 0.1, 0.25
_CHANCE = 3.0902  # the normal distribution's 99.9%
_MOST_CATEGORIES = 100

Verdict = Literal["none", "some", "much"]


class Bins(Struct, frozen=True, omit_defaults=True):
    """How the training rows of one field fell. counts: between the edges (one more than there are), or of each value
    and then of all others; last, of missing ones."""

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    values: tuple[str | int | bool, ...] = ()


class Drift(Struct, frozen=True, omit_defaults=True):
    """Of one field. psi and ks: None while no row was seen. ks: None for categories, which have no order."""

    rows: int
    verdict: Verdict
    psi: float | None = None
    ks: float | None = None
    trained: tuple[float, ...] = ()
    live: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    values: tuple[str | int | bool, ...] = ()


def reference_of(rows: pd.DataFrame, fields: Sequence[Field]) -> dict[str, Any]:
    """For the manifest's parameters["reference"]: the bins of each field (JSON). Texts, vectors and images, and
    categories of more than 100 values, are not watched."""
    found: dict[str, Any] = {}
    for field in fields:
        bins = _bins(rows, field)
        if bins is not None:
            found[field.name] = msgspec.to_builtins(bins)
    return found


def read_reference(parameters: Mapping[str, Any]) -> dict[str, Bins]:
    """Out of a manifest's parameters; nothing where there is none, or none that can be read."""
    try:
        found = msgspec.convert(parameters.get("reference", {}), dict[str, Bins])
    except msgspec.ValidationError:
        return {}
    return {name: bins for name, bins in found.items() if _is_whole(bins)}


class Watch:
    """Counts rows into the bins of a reference. fields: the columns of the tables that it counts."""

    def __init__(self, reference: Mapping[str, Bins], fields: Sequence[Field]) -> None:
        import numpy as np

        watched = [(place, field.name) for place, field in enumerate(fields) if field.name in reference]
        self._numbers = [(place, name) for place, name in watched if not reference[name].values]
        self._categories = [(place, name, reference[name].values) for place, name in watched if reference[name].values]
        self._whole = len(self._numbers) == len(fields)
        edges = [reference[name].edges for _, name in self._numbers]
        self._missing = np.array([len(one) + 1 for one in edges], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._missing + 1)]).astype(np.int64)
        most = max((len(one) for one in edges), default=0)
        self._small = np.min_scalar_type(-most - 1)  # quicker to add up
        self._edges = np.array([[*one, *[math.inf] * (most - len(one))] for one in edges], np.float64).reshape(-1, most)

    def count(self, table: Table) -> dict[str, list[int]]:
        """By field, as long as the reference's counts."""
        found = {name: _tallied(table.columns[place], values) for place, name, values in self._categories}
        return found | self._count_numbers(table) if self._numbers else found

    def _count_numbers(self, table: Table) -> dict[str, list[int]]:
        import numpy as np

        matrix = table.matrix if self._whole else None
        if matrix is None:
            columns = [table.columns[place] for place, _ in self._numbers]
            matrix = np.column_stack([_days(column) if column.dtype.kind == "M" else column for column in columns])
        places = np.zeros(matrix.shape, self._small)
        above = np.empty(matrix.shape, bool)
        one = above.view(np.int8)
        for edges in self._edges.T:
            np.greater_equal(matrix, edges, out=above)
            places += one
        found = np.where(np.isnan(matrix), self._missing, places) + self._starts[:-1]
        counts = np.bincount(found.ravel(), minlength=int(self._starts[-1])).tolist()
        bounds = self._starts.tolist()
        return {
            name: counts[start:end]
            for (_, name), start, end in zip(self._numbers, bounds[:-1], bounds[1:], strict=True)
        }


def compared(bins: Bins, live: Sequence[int]) -> Drift:
    """live: counts of as many bins."""
    total, seen = sum(bins.counts), sum(live)
    known = Drift(seen, "none", edges=bins.edges, values=bins.values)
    if not seen or not total:
        return known
    # Half a row more in each bin: an empty one would make the logarithm infinite.
    size = len(bins.counts)
    trained = [(count + 0.5) / (total + size / 2) for count in bins.counts]
    now = [(count + 0.5) / (seen + size / 2) for count in live]
    psi = sum((new - old) * math.log(new / old) for old, new in zip(trained, now, strict=True))
    filled = sum(1 for old, new in zip(bins.counts, live, strict=True) if old or new)
    shares = tuple(count / total for count in bins.counts), tuple(count / seen for count in live)
    return Drift(
        rows=seen,
        verdict=_verdict(psi, chance(total, seen, filled)),
        psi=psi,
        ks=None if bins.values else _ks(bins.counts[:-1], live[:-1]),
        trained=shares[0],
        live=shares[1],
        edges=bins.edges,
        values=bins.values,
    )


def chance(trained: int, live: int, bins: int) -> float:
    """The PSI that 99.9% of samples of these sizes stay below when nothing drifts (chi-squared, as Wilson and Hilferty
    approximate it)."""
    freedom = max(bins - 1, 1)
    ninth = 2 / (9 * freedom)
    quantile = freedom * (1 - ninth + _CHANCE * math.sqrt(ninth)) ** 3
    return quantile * (1 / trained + 1 / live)


def _verdict(psi: float, by_chance: float) -> Verdict:
    if psi < LITTLE or psi <= by_chance:
        return "none"
    return "much" if psi >= MUCH else "some"


def _ks(trained: Sequence[int], live: Sequence[int]) -> float:
    total, seen = sum(trained), sum(live)
    if not total or not seen:
        return 0.0
    furthest = first = second = 0.0
    for old, new in zip(trained, live, strict=True):
        first, second = first + old / total, second + new / seen
        furthest = max(furthest, abs(first - second))
    return furthest


def _bins(rows: pd.DataFrame, field: Field) -> Bins | None:
    import numpy as np

    if field.kind in {"category", "boolean"}:
        values = field.categories or (False, True)
        if len(values) > _MOST_CATEGORIES:
            return None
        return Bins(tuple(_count_categories(rows[field.name], values)), values=values)
    if field.kind not in {"number", "integer", "time"}:
        return None
    numbers = _numbers(rows[field.name], field)
    present = np.sort(numbers[np.isfinite(numbers)])
    if not len(present):
        return None
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="lower"))
    if len(edges) == 1:  # nearly all rows are alike: what is above counts as well as what is below
        edges = np.append(edges, np.nextafter(edges, np.inf))
    below = np.searchsorted(present, edges)
    counts = np.diff(below, prepend=0, append=len(present)).tolist()
    return Bins((*counts, len(numbers) - len(present)), edges=tuple(edges.tolist()))


def _is_whole(bins: Bins) -> bool:
    expected = len(bins.values) + 2 if bins.values else len(bins.edges) + 2
    return len(bins.counts) == expected and all(count >= 0 for count in bins.counts)


def _count_categories(column: pd.Series[Any], values: Sequence[str | int | bool]) -> list[int]:
    import numpy as np
    import pandas as pd

    from craton.engines.predictor.preprocessing import codes

    places = codes(column, values)
    missing = pd.isna(column).to_numpy()
    places = np.where(missing, len(values) + 1, np.where(places < 0, len(values), places))
    counts: list[int] = np.bincount(places, minlength=len(values) + 2).tolist()
    return counts


def _tallied(column: Column, values: Sequence[str | int | bool]) -> list[int]:
    """What `_count_categories` counts, of checked values: no 1 stands for true."""
    seen = Counter(column.tolist())
    missing = seen.pop(None, 0)
    counts = [seen.pop(value, 0) for value in values]
    return [*counts, seen.total(), missing]


def _days(moments: Column) -> Matrix:
    """As `preprocessing` counts them; NaN for none."""
    import numpy as np

    days: Matrix = (moments - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    return days


def _numbers(column: pd.Series[Any], field: Field) -> Matrix:
    """Times become days."""
    from craton.engines.predictor.preprocessing import encode_column

    return encode_column(column, field, "codes")[:, 0]
