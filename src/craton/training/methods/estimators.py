"""Methods that learn a target, as estimators of scikit-learn's: ensembles fit their members so, and what works on
estimators (cross-validation, grids, `clone`) works on these. scikit-learn's own checks of estimators run in the tests.

https://scikit-learn.org/stable/developers/develop.html
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES
from craton.training.methods import trainer_for
from craton.training.methods.within import Shared, Within
from craton.training.protocol import Run, Tables
from craton.training.specification.methods import Specification
from craton.training.specification.reading import read

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

ANSWER = "answer"
_NO_DATA = {"ref": "none/none", "target": ANSWER}


class MethodEstimator(BaseEstimator):  # type: ignore[misc]
    """method, use, params: as a specification has them. options: its other keys ({"train": {"epochs": 3}}).

    fields: what the columns of a frame mean; None: X is a matrix of numbers. predictor_: what was made.
    """

    predictor_: Predictor

    def __init__(
        self,
        method: str = "deep",
        use: str = "mlp",
        params: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        fields: tuple[Field, ...] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.method, self.use, self.params = method, use, params
        self.options, self.fields, self.random_state = options, fields, random_state

    def _learn(self, rows: pd.DataFrame, target: Field, answers: Any, run: Run | None) -> None:
        """Raises InvalidRequest, which is a ValueError, for what the method cannot do with these rows."""
        column = pd.Series(answers, dtype=object if target.categories else float)
        frame = rows.reset_index(drop=True).assign(**{ANSWER: column})
        fields = self.fields or tuple(Field(name, "number") for name in rows.columns)
        tables = Tables(frame, frame.head(0), frame.head(0), fields, target)
        spec = self._specification(target)
        if run is not None:
            self._made(spec, tables, run)
            return
        with tempfile.TemporaryDirectory(prefix="craton-fit-") as folder:
            self._made(spec, tables, Within(Path(folder), None, Shared()))

    def _made(self, spec: Specification, tables: Tables, run: Run) -> None:
        predictor = trainer_for(spec)(spec, tables, run).predictor
        if predictor is None:
            raise InvalidRequest(f"{self.method} by {self.use} predicts nothing", "use")
        self.predictor_ = predictor

    def _specification(self, target: Field) -> Specification:
        seed = self.random_state
        if not isinstance(seed, int):
            seed = int(check_random_state(seed).randint(2**31 - 1))
        task = "classification" if target.categories else "regression"
        model = {"use": self.use, "params": self.params or {}}
        document = {"method": self.method, "data": _NO_DATA, "model": model, "eval": {"report": False}}
        asked = {"task": task} if self.method in {"deep", "online"} else {}
        return read(document | asked | (self.options or {}) | {"seed": seed})

    def _rows(self, X: Any, y: Any = None, *, fitting: bool = False) -> tuple[pd.DataFrame, Any]:
        """X and y as scikit-learn checks them."""
        given: dict[str, Any] = {"reset": fitting}
        if fitting:
            given |= {"y": y, "y_numeric": isinstance(self, RegressorMixin)}
        if self.fields is not None:
            given |= {"skip_check_array": True}
        else:
            given |= {"dtype": np.float64}
        checked = validate_data(self, X, **given)
        matrix, answers = checked if fitting else (checked, None)
        if isinstance(matrix, pd.DataFrame):
            return matrix, answers
        names = getattr(self, "feature_names_in_", None)
        columns = [f"x{place}" for place in range(matrix.shape[1])] if names is None else [*names]
        return pd.DataFrame(matrix, columns=columns), answers


class MethodClassifier(ClassifierMixin, MethodEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any, *, run: Run | None = None) -> Self:
        """run: that this fit is a part of."""
        rows, answers = self._rows(X, y, fitting=True)
        check_classification_targets(answers)
        self.classes_, places = np.unique(answers, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidRequest("there is one class only, nothing to tell apart", "y")
        known = self.classes_.tolist()
        plain = all(isinstance(one, str | int | bool) for one in known)
        categories = tuple(known) if plain else tuple(range(len(known)))
        self._learn(rows, Field(ANSWER, "category", categories=categories), [categories[one] for one in places], run)
        return self

    def predict(self, X: Any) -> Array:
        places = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[places]
        return found

    def predict_proba(self, X: Any) -> Array:
        check_is_fitted(self)
        rows, _ = self._rows(X)
        return self.predictor_.run("predict_proba", rows)[PROBABILITIES]


class MethodRegressor(RegressorMixin, MethodEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any, *, run: Run | None = None) -> Self:
        """run: that this fit is a part of."""
        rows, answers = self._rows(X, y, fitting=True)
        self._learn(rows, Field(ANSWER, "number"), np.asarray(answers, np.float64), run)
        return self

    def predict(self, X: Any) -> Array:
        check_is_fitted(self)
        rows, _ = self._rows(X)
        return self.predictor_.run("predict", rows)[PREDICTION]
