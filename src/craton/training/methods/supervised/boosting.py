"""Boosting, round by round: curves, progress and an end on request, by the libraries' own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.training.protocol import Run

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LOOKS = 100  # at most so many points of a curve


def watched(use: str, estimator: Any, run: Run, validation: tuple[Array, Array] | None) -> dict[str, Any]:
    """What `fit` of LightGBM or XGBoost is given beside the data; sets what XGBoost wants in the estimator itself.

    validation: rows whose figure is a curve, and that an early stopping in the parameters looks at.
    """
    total = estimator.get_params().get("n_estimators") or 100
    given: dict[str, Any] = {} if validation is None else {"eval_set": [validation]}
    if use == "lightgbm":
        return {**given, "callbacks": [_lightgbm_callback(run, total)]}
    estimator.set_params(callbacks=[*(estimator.get_params().get("callbacks") or []), _xgboost_callback(run, total)])
    return {**given, "verbose": False}


class _Watch:
    """What both do after a round."""

    def __init__(self, run: Run, total: int) -> None:
        self._run, self._total = run, total
        self._every = max(1, total // LOOKS)

    def round(self, done: int, figures: list[tuple[str, float]]) -> None:
        self._run.check()
        if done % self._every == 0 or done == self._total:
            self._run.progress(done, self._total, "rounds")
            for name, value in figures:
                self._run.metric(f"validation_{name}", value, done)


def _lightgbm_callback(run: Run, total: int) -> Any:
    watch = _Watch(run, total)

    def after(environment: Any) -> None:
        figures = [(entry[1], float(entry[2])) for entry in environment.evaluation_result_list or ()]
        watch.round(environment.iteration + 1, figures)

    return after


def _xgboost_callback(run: Run, total: int) -> Any:
    from xgboost.callback import TrainingCallback

    watch = _Watch(run, total)

    class After(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            figures = [(name, float(values[-1])) for log in evals_log.values() for name, values in log.items()]
            watch.round(epoch + 1, figures)
            return False

    return After()
