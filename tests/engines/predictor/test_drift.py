"""Drift, against numbers that can be checked by hand, and against chance."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from craton.core.predicting import Field
from craton.engines.predictor.drift import Bins, compared, read_reference, reference_of

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from craton.engines.predictor.drift import Watch  # noqa: E402
from craton.engines.predictor.tables import Table  # noqa: E402

FIELDS = (
    Field("number", "number", nullable=True),
    Field("color", "category", categories=("red", "blue")),
    Field("flag", "boolean"),
    Field("when", "time"),
    Field("constant", "integer"),
    Field("words", "text"),
)


def rows(count: int, seed: int, shift: float = 0.0) -> Any:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "number": random.normal(shift, 1, count),
            "color": random.choice(["red", "blue"], count),
            "flag": random.random(count) > 0.5,
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 100, count), "D"),
            "constant": np.full(count, 7),
            "words": ["a"] * count,
        }
    )
    frame.loc[frame.index % 10 == 0, "number"] = np.nan
    return frame


def watched(reference: dict[str, Bins], frame: Any) -> dict[str, list[int]]:
    """Counted as the engine counts."""
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    columns["constant"] = columns["constant"].astype(float)
    return Watch(reference, FIELDS).count(Table([columns[field.name] for field in FIELDS]))


def test_psi_is_the_sum_that_the_book_says() -> None:
    drift = compared(Bins((40, 60, 0, 0), values=("red", "blue")), [60, 40, 0, 0])
    halves = [(40.5, 60.5), (60.5, 40.5), (0.5, 0.5), (0.5, 0.5)]  # half a row more in each of four bins
    expected = sum((new - old) / 102 * math.log(new / old) for old, new in halves)
    assert drift.psi == pytest.approx(expected)
    assert drift.ks is None
    assert (drift.trained, drift.live, drift.rows) == ((0.4, 0.6, 0, 0), (0.6, 0.4, 0, 0), 100)


def test_ks_is_the_largest_distance_of_the_cumulative_shares() -> None:
    assert compared(Bins((50, 30, 20, 7), edges=(1.0, 2.0)), [10, 30, 60, 99]).ks == pytest.approx(0.4)


def test_nothing_seen_is_no_drift() -> None:
    drift = compared(Bins((5, 5, 0, 0), values=("red", "blue")), [0, 0, 0, 0])
    assert (drift.rows, drift.verdict, drift.psi) == (0, "none", None)


def test_rows_fall_into_the_bins_of_the_reference() -> None:
    frame = rows(500, 0)
    reference = read_reference({"reference": msgspec.json.decode(msgspec.json.encode(reference_of(frame, FIELDS)))})
    assert set(reference) == {"number", "color", "flag", "when", "constant"}
    counted = watched(reference, frame)
    assert {name: tuple(counts) for name, counts in counted.items()} == {n: b.counts for n, b in reference.items()}
    assert counted["number"][-1] == 50
    other = frame.assign(color="green", constant=8)
    counted = watched(reference, other)
    assert counted["color"] == [0, 0, 500, 0]
    assert compared(reference["constant"], counted["constant"]).verdict == "much"


def test_small_samples_of_the_same_rows_do_not_drift() -> None:
    reference = read_reference({"reference": reference_of(rows(2000, 0), FIELDS)})
    verdicts = [
        compared(reference[name], counts).verdict
        for seed in range(1, 41)
        for name, counts in watched(reference, rows(30, seed)).items()
    ]
    assert verdicts.count("none") >= 0.99 * len(verdicts)
    shifted = watched(reference, rows(200, 50, shift=1.0))
    assert compared(reference["number"], shifted["number"]).verdict == "much"


@pytest.mark.parametrize("kept", [{}, {"reference": 7}, {"reference": {"a": {"counts": [1], "edges": [1.0]}}}])
def test_a_reference_that_cannot_be_read_is_none(kept: dict[str, Any]) -> None:
    assert read_reference(kept) == {}
