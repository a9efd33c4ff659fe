"""New rows in a map that was made of other rows."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from pathlib import Path

import numpy as np

from craton.core.errors import Damaged
from craton.engines.predictor.arrays import save_arrays
from craton.engines.predictor.placing import Neighbourhood, memberships

ROWS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
PLACES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [50.0, 50.0]])


def test_memberships_of_a_row_add_up_to_log2_of_their_number() -> None:
    distances = np.sort(np.random.default_rng(0).random((20, 15)), axis=1)
    assert np.allclose(memberships(distances).sum(axis=1), np.log2(15))


def test_a_training_row_keeps_its_place_and_a_new_one_is_among_its_neighbours() -> None:
    found = Neighbourhood(ROWS, PLACES, 3, "euclidean").coordinates(np.array([[1.0, 0.0], [0.1, 0.1]]))
    assert found[0].tolist() == [2.0, 0.0]
    assert np.linalg.norm(found[1] - PLACES[0]) < 1
    assert (found[1] > 0).all()


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / Neighbourhood.FILE, {"rows": ROWS, "places": PLACES[:2]})
    with pytest.raises(Damaged):
        Neighbourhood.read(tmp_path, {"neighbors": 3, "metric": "euclidean"})
    (tmp_path / Neighbourhood.FILE).write_bytes(b"no tensors")
    with pytest.raises(Damaged):
        Neighbourhood.read(tmp_path, {"neighbors": 3, "metric": "euclidean"})
