"""Numbers that can be checked by hand, in the Hub viewer's kinds and bins."""

from __future__ import annotations

import json
import random
import statistics
from datetime import datetime
from typing import Any

import pytest

from craton.data.viewing.frames import Measure
from craton.data.viewing.tasks import perform
from craton.data.viewing.values import ColumnStatistics, Frequencies, Histogram, Numbers, Statistics
from tests.data.viewing.tables import LIMITS, Desk

pytest.importorskip("pyarrow")


def measured(desk: Desk, columns: Any) -> dict[str, ColumnStatistics]:
    found: Statistics = perform(Measure(desk.parquet(columns)), LIMITS)
    return {column.name: column for column in found.columns}


def numbers(desk: Desk, values: list[Any]) -> Numbers:
    found = measured(desk, {"x": values})["x"].values
    assert isinstance(found, Numbers)
    return found


def test_whole_numbers(desk: Desk) -> None:
    """1 2 3 4 5, 100 and one missing: the mean is 115 / 6; bins are ceil(100 / 10) = 10 wide."""
    found = numbers(desk, [1, 2, 3, 4, 5, 100, None])
    assert (found.missing, found.min, found.max, found.median) == (1, 1, 100, 3.5)
    assert found.mean == pytest.approx(115 / 6, abs=1e-5)
    assert found.std == pytest.approx(39.62533, abs=1e-5)
    assert found.histogram == Histogram((5, 0, 0, 0, 0, 0, 0, 0, 0, 1), (1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 100))


def test_fewer_bins_where_numbers_are_few(desk: Desk) -> None:
    assert numbers(desk, [1, 2, 3]).histogram == Histogram((1, 1, 1), (1, 2, 3, 3))
    assert numbers(desk, [7, 7]).histogram == Histogram((2,), (7, 7))


def test_fractions(desk: Desk) -> None:
    """The last bin holds the maximum; NaN and null are both missing."""
    found = numbers(desk, [0.0, 0.05, 0.5, 1.0, float("nan"), None])
    assert (found.missing, found.min, found.max, found.median) == (2, 0.0, 1.0, 0.275)
    assert found.histogram == Histogram(
        (2, 0, 0, 0, 0, 1, 0, 0, 0, 1), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    )


def test_columns_of_nothing(desk: Desk) -> None:
    import pyarrow as pa

    found = measured(desk, {"x": pa.nulls(3, pa.float64()), "s": pa.nulls(3, pa.string())})
    assert found["x"].values == Numbers(3)
    assert found["s"].values == Frequencies(3, {})
    assert numbers(desk, [5]).std is None


@pytest.mark.parametrize("seed", range(3))
def test_medians_are_exact(seed: int, desk: Desk) -> None:
    """Held against sorting, over numbers of every size and sign, in several batches."""
    dice = random.Random(seed)
    floats = [dice.choice((-1, 1)) * 10 ** dice.uniform(-300, 300) for _ in range(20_000 + seed)]
    wholes = [dice.randint(-(2**62), 2**62) >> dice.randint(0, 60) for _ in range(20_001)]
    found = measured(desk, {"f": floats[:20_000], "i": wholes[:20_000]})
    values = found["f"].values, found["i"].values
    assert isinstance(values[0], Numbers)
    assert isinstance(values[1], Numbers)
    assert values[0].median == pytest.approx(statistics.median(floats[:20_000]), rel=1e-9, abs=1e-5)
    assert values[1].median == pytest.approx(statistics.median(wholes[:20_000]), rel=1e-12)
    assert values[1].histogram is not None
    assert sum(values[1].histogram.counts) == 20_000


def test_the_deviation_survives_large_means(desk: Desk) -> None:
    found = numbers(desk, [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0] * 5000)
    assert found.std == pytest.approx(statistics.stdev([1.0, 2.0, 3.0] * 5000), abs=1e-4)


def test_labels_and_texts(desk: Desk) -> None:
    """At most ten different strings, or at most a fifth of the rows, are labels; else lengths are counted."""
    few = ["a", "b", "a", None] * 30
    fifth = [f"l{index % 24}" for index in range(120)]
    many = [f"{'x' * (index % 5)}{index}" for index in range(120)]
    found = measured(desk, {"few": few, "fifth": fifth, "many": many})
    assert found["few"] == ColumnStatistics("few", "string_label", Frequencies(30, {"a": 60, "b": 30}))
    assert (found["fifth"].kind, found["many"].kind) == ("string_label", "string_text")
    lengths = [len(text) for text in many]
    assert isinstance(found["many"].values, Numbers)
    assert (found["many"].values.min, found["many"].values.max) == (min(lengths), max(lengths))
    assert found["many"].values.mean == pytest.approx(sum(lengths) / 120, abs=1e-5)


def test_bools_classes_lists_and_times(desk: Desk) -> None:
    import pyarrow as pa

    features = {"label": {"names": ["no", "yes", "maybe"], "_type": "ClassLabel"}}
    table = pa.table(
        {
            "ok": [True, False, True, None],
            "label": [0, 1, 1, -1],
            "list": [[1, 2], [], None, [3]],
            "when": pa.array([datetime(2020, 1, day) for day in (1, 1, 1, 5)], pa.timestamp("us")),
            "nested": [{"a": 1}] * 4,
        }
    )
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    found = measured(desk, table)
    assert found["ok"].values == Frequencies(1, {"False": 1, "True": 2})
    assert found["label"] == ColumnStatistics(
        "label", "class_label", Frequencies(0, {"no": 1, "yes": 2, "maybe": 0}, 1)
    )
    lengths, when = found["list"].values, found["when"].values
    assert isinstance(lengths, Numbers)
    assert (lengths.missing, lengths.min, lengths.max, lengths.mean) == (1, 0, 2, 1.0)
    assert isinstance(when, Numbers)
    assert (when.min, when.max) == ("2020-01-01 00:00:00", "2020-01-05 00:00:00")
    assert (when.mean, when.median, when.std) == ("2020-01-02 00:00:00", "2020-01-01 00:00:00", "2 days, 0:00:00")
    assert when.histogram is not None
    assert when.histogram.counts == (3, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    assert "nested" not in found


def test_long_columns_are_read_again_and_give_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit in memory between passes is read anew."""
    from craton.data.viewing import numbers as module

    dice = random.Random(7)
    values = [dice.gauss(0, 1000) for _ in range(30_001)]
    kept = numbers(desk, values)
    monkeypatch.setattr(module, "_HELD", 100)
    assert numbers(desk, values) == kept
    assert kept.median == pytest.approx(statistics.median(values), abs=1e-5)
