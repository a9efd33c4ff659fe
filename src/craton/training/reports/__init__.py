"""What a finished model is like: pictures, and the same as JSON, made from rows that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.training.protocol import Figure, Run, Tables, Trained
from craton.training.specification.methods import Specification

if TYPE_CHECKING:
    import pandas as pd

    from craton.training.reports.judging import Judged

EMBEDDED = 2000  # rows whose texts are embedded once more for the pictures
BACKGROUND = 200  # training rows that columns are swapped with


def report(spec: Specification, tables: Tables | None, trained: Trained, run: Run) -> list[Figure]:
    """The pictures that the model's method has not made itself; nothing where no rows with answers were held out.

    Adds the differences between groups to `trained.metrics` when a sensitive column is named, so that a gate can look
    at them, and to `trained.notes` what their reader must know. A picture that cannot be made is a warning: it is no
    reason to lose a model.
    """
    predictor = trained.predictor
    if tables is None or predictor is None or tables.target is None or not len(tables.test):
        return []
    if "predict" not in predictor.signature.outputs:
        return []
    return [*_Report(spec, tables, trained, predictor, tables.target, run).figures()]


class _Report:
    def __init__(
        self, spec: Specification, tables: Tables, trained: Trained, predictor: Predictor, target: Field, run: Run
    ) -> None:
        self._spec, self._tables, self._trained, self._run = spec, tables, trained, run
        self._predictor, self._target = predictor, target

    def figures(self) -> Iterator[Figure]:
        from craton.training.reports.judging import judged

        rows, background = self._rows()
        found: list[Judged] = []
        yield from self._made("predictions", lambda: found.append(judged(self._predictor, rows, self._target)))
        for one in found:
            yield from self._of_predictions(one)
            yield from self._made("fairness", lambda: self._fairness(one, rows))  # noqa: B023 (called at once)
        yield from self._of_columns(rows, background)

    def _rows(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The test rows and some training rows, as the predictor takes them."""
        from craton.training.data.embedding import embedded

        test, train = self._tables.test, self._tables.train
        background = train.sample(min(BACKGROUND, len(train)), random_state=self._spec.seed)
        if not any(field.embedder for field in self._predictor.signature.inputs):
            return test, background
        few = replace(self._tables, train=background, validation=background.head(0), test=test.head(EMBEDDED))
        made = embedded(few, self._run, self._predictor.signature.inputs)
        return made.test, made.train

    def _of_predictions(self, found: Judged) -> Iterator[Figure]:
        from craton.training.reports import classes, numbers

        if not found.classes:
            yield from self._made("estimates", lambda: numbers.estimates(found))
            return
        names, chances = self._target.categories, found.probabilities
        yield from self._made("confusion", lambda: classes.confusion(found.truth, found.predicted, names))
        if chances is not None:
            yield from self._made("roc", lambda: classes.roc(found.truth, chances, names))
            yield from self._made("calibration", lambda: classes.calibration(found.truth, chances, names))

    def _of_columns(self, rows: pd.DataFrame, background: pd.DataFrame) -> Iterator[Figure]:
        from craton.training.reports.importance import permutation_importance
        from craton.training.reports.shapley import shap_values

        fields, seed = self._predictor.signature.inputs, self._spec.seed
        if len(fields) < 2:
            return
        yield from self._made(
            "importance",
            lambda: permutation_importance(self._predictor, rows, fields, self._target, seed, self._run),
        )
        yield from self._made("shap", lambda: shap_values(self._predictor, rows, background, seed))

    def _fairness(self, found: Judged, rows: pd.DataFrame) -> Figure | None:
        from craton.training.reports.fairness import FEWEST, fairness

        name = self._tables.sensitive
        if name is None:
            return None
        column = self._tables.test[name].head(len(rows)).reset_index(drop=True)
        compared = fairness(found, column)
        if compared is None:
            self._trained.notes.append(f"No two groups of {name!r} have {FEWEST} test rows: they are not compared.")
            return None
        self._trained.metrics.update(compared.metrics)
        self._trained.notes.extend(compared.notes)
        return compared.figure

    def _made(self, name: str, make: Callable[[], Figure | None]) -> Iterator[Figure]:
        self._run.check()
        try:
            figure = make()
        except (ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, TypeError, ValueError) as error:
            self._run.warn(f"The report's part {name!r} could not be made ({type(error).__name__}: {error}).")
            return
        if figure is not None:
            yield figure
