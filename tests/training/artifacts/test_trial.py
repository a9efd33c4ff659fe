"""What was saved is loaded in a process of its own, and what answers otherwise is not taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from craton.core.errors import Damaged
from craton.core.predicting import Field, Signature
from craton.engines.predictor.manifest import NAME
from craton.engines.predictor.pipelines import Settings, SklearnModel, SklearnPredictor
from craton.engines.predictor.signatures import regression_outputs
from craton.training.artifacts.trial import Trial, same
from craton.training.artifacts.writing import Lineage, write_predictor
from craton.training.specification.reading import read

FIELDS = (Field("a", "number", nullable=True), Field("since", "time"), Field("place", "vector", shape=(2,)))
ROWS = pd.DataFrame(
    {
        "a": [1.0, 2.0, 3.0],
        "since": pd.to_datetime(["2024-01-01", "2025-01-01", "2026-01-01"], utc=True),
        "place": pd.Series([np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([5.0, 5.0])], dtype=object),
    }
)
SPEC = read({"method": "regression", "data": {"ref": "acme/x", "target": "y"}})


def predictor(factor: float) -> SklearnPredictor:
    signature = Signature(FIELDS, regression_outputs(interval=True), Field("y", "number"))
    made = SklearnPredictor(signature, SklearnModel(None), Settings(interval=1.0))
    matrix = made.matrix(ROWS)
    return SklearnPredictor(signature, SklearnModel(Ridge().fit(matrix, matrix[:, 0] * factor)), Settings(interval=1.0))


@pytest.fixture
def trial() -> Iterator[Trial]:
    trial = Trial(("pandas", "sklearn", "no_such_module"))
    trial.start()
    yield trial
    trial.close()


def write(folder: Path, made: Any) -> Path:
    write_predictor(folder, SPEC, made, None, Lineage("run", "acme/x"))
    return folder


def test_the_same_answers_are_taken(tmp_path: Path, trial: Trial) -> None:
    made = predictor(2.0)
    assert trial.begin(write(tmp_path, made), made, ROWS) == 3
    trial.end()


def test_other_answers_are_not(tmp_path: Path, trial: Trial) -> None:
    trial.begin(write(tmp_path, predictor(2.0)), predictor(2.001), ROWS)
    with pytest.raises(Damaged, match="differs"):
        trial.end()


def test_nor_are_damaged_files(tmp_path: Path, trial: Trial) -> None:
    made = predictor(2.0)
    (write(tmp_path, made) / "model.skops").write_bytes(b"PK")
    trial.begin(tmp_path, made, ROWS)
    with pytest.raises(Damaged, match="not those that were saved"):
        trial.end()
    assert (tmp_path / NAME).exists()


def test_labels_must_be_equal_and_numbers_nearly() -> None:
    assert same(np.array(["a", "b"], dtype=object), ["a", "b"])
    assert not same(np.array([1, True], dtype=object), [1, False])
    assert same(np.array([1.0, np.nan]), [1.0 + 1e-9, None])
    assert not same(np.array([[1.0, 2.0]]), [[1.0, 2.1]])
