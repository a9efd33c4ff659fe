"""Jobs run on a real Ray cluster of two nodes that asks for a token."""

from __future__ import annotations

from beside import passes
from checks import run


def jobs_run_there() -> None:
    passes("tests/jobs/test_ray.py", "CRATON_TEST_RAY", "ray")


def a_model_is_trained_there() -> None:
    passes("tests/training/test_on_ray.py", "CRATON_TEST_RAY", "ray")


run([jobs_run_there, a_model_is_trained_there])
