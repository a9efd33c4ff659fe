"""What a process imports that only reads and asks a model of trees."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("lightgbm")

PROGRAM = """
import sys
from craton.engines.predictor.importing import import_alone

import_alone("lightgbm")
assert "sklearn" not in sys.modules
import lightgbm, numpy

rows = numpy.arange(40.0).reshape(-1, 1)
booster = lightgbm.train({"verbose": -1, "min_data_in_leaf": 1}, lightgbm.Dataset(rows, rows[:, 0] > 20), 3)
print(booster.predict(rows).argmax() > 20)
import_alone("json")
import sklearn
print(sklearn.__name__)
"""


def test_trees_are_asked_without_scikit_learn_which_is_there_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "sklearn"], done.stderr
