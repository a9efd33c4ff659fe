"""What `craton jobs export` sends arrives in a real MLflow server."""

from __future__ import annotations

from beside import passes
from checks import run


def a_run_is_exported() -> None:
    passes("tests/cli/test_exporting.py", "CRATON_TEST_MLFLOW", "mlflow")


run([a_run_is_exported])
