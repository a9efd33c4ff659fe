"""Classifiers and regressors of tables: scikit-learn's (skops), LightGBM's (its text), XGBoost's (UBJ), all behind the
same preprocessing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.calibration import Calibration
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.preprocessing import Style, encode
from craton.engines.predictor.signatures import LOWER, PREDICTION, PROBABILITIES, UPPER

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]


class Settings(Struct, frozen=True, omit_defaults=True):
    """What stands in the manifest beside the weights.

    style: see `preprocessing`. interval: half the width of what a regression says around its number. missing, best: of
    XGBoost: the number that stands for a missing one (None: NaN), and how many rounds count (None: all).
    """

    style: Style = "codes"
    calibration: Calibration | None = None
    interval: float | None = None
    missing: float | None = None
    best: int | None = None


class Model(Protocol):
    """Whatever library it is of. Codes of classes are places in the target's categories."""

    def codes(self, matrix: Array) -> Array: ...

    def probabilities(self, matrix: Array) -> Array:
        """Shape (rows, classes)."""
        ...

    def decisions(self, matrix: Array) -> Array:
        """What a calibration over "decision_function" takes."""
        ...

    def numbers(self, matrix: Array) -> Array: ...

    def save(self, folder: Path) -> None: ...


class TabularPredictor:
    """What the three have in common: encode, ask the model, calibrate, name."""

    read: ClassVar[Any]  # (folder, settings, signature) -> Model

    def __init__(self, signature: Signature, model: Model, settings: Settings) -> None:
        self._signature, self.model, self.settings = signature, model, settings

    @property
    def signature(self) -> Signature:
        return self._signature

    def matrix(self, rows: pd.DataFrame) -> Array:
        """The rows as the model takes them."""
        return encode(rows, self._signature.inputs, self.settings.style)

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Array]:
        import numpy as np

        matrix = self.matrix(rows)
        output = self._signature.outputs[verb][0]
        if not output.categories:
            return self._numbers(matrix)
        labels = np.array(output.categories, dtype=object)
        if verb == "predict" and self.settings.calibration is None:
            return {PREDICTION: labels[self.model.codes(matrix)]}
        found = self._probabilities(matrix)
        answer = {PREDICTION: labels[found.argmax(axis=1)]}
        return answer if verb == "predict" else {**answer, PROBABILITIES: found}

    def save(self, folder: Path) -> dict[str, Any]:
        self.model.save(folder)
        parameters: dict[str, Any] = msgspec.to_builtins(self.settings)
        return parameters

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> Self:
        """Raises Damaged."""
        try:
            settings = msgspec.convert(manifest.parameters, Settings)
        except msgspec.ValidationError as error:
            raise Damaged("model.json", f"its parameters are not those of a table's model ({error})") from error
        return cls(manifest.signature, cls.read(folder, settings, manifest.signature), settings)

    def _probabilities(self, matrix: Array) -> Array:
        calibration = self.settings.calibration
        if calibration is None:
            return self.model.probabilities(matrix)
        if calibration.response == "decision_function":
            return calibration.probabilities(self.model.decisions(matrix))
        scores = self.model.probabilities(matrix)
        return calibration.probabilities(scores[:, 1] if len(calibration.curves) == 1 else scores)

    def _numbers(self, matrix: Array) -> dict[str, Array]:
        found = self.model.numbers(matrix)
        if self.settings.interval is None:
            return {PREDICTION: found}
        return {PREDICTION: found, LOWER: found - self.settings.interval, UPPER: found + self.settings.interval}


@contextmanager
def _asking(matrix: Array) -> Iterator[None]:
    """scikit-learn looks at parameters and numbers again in every step of a pipeline, which takes it as long as a
    linear model's answer: once is enough. What float32 cannot hold (trees want it) is left to it."""
    import numpy as np
    from sklearn import config_context

    finite = bool(matrix.size and np.abs(matrix).max() <= np.finfo(np.float32).max)
    with np.errstate(invalid="ignore"), config_context(assume_finite=finite, skip_parameter_validation=True):
        yield


class SklearnModel:
    """estimator: fitted, a pipeline perhaps; its classes are 0, 1, ..."""

    FILE: ClassVar[str] = "model.skops"

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def codes(self, matrix: Array) -> Array:
        with _asking(matrix):
            found: Array = self.estimator.predict(matrix).astype(int)
        return found

    def probabilities(self, matrix: Array) -> Array:
        """Even where the estimator knows nothing (a row that spread labels do not reach)."""
        import numpy as np

        with _asking(matrix):
            found: Array = self.estimator.predict_proba(matrix)
        unknown = np.isnan(found)
        return np.where(unknown, 1 / found.shape[1], found) if unknown.any() else found

    def decisions(self, matrix: Array) -> Array:
        with _asking(matrix):
            found: Array = self.estimator.decision_function(matrix)
        return found

    def numbers(self, matrix: Array) -> Array:
        with _asking(matrix):
            found: Array = self.estimator.predict(matrix)
        return found

    def save(self, folder: Path) -> None:
        from craton.engines.predictor.trusted import save_skops

        save_skops(self.estimator, folder / self.FILE)

    @classmethod
    def read(cls, folder: Path, settings: Settings, signature: Signature) -> SklearnModel:
        from craton.engines.predictor.trusted import load_skops

        estimator = load_skops(folder / cls.FILE)
        if not hasattr(estimator, "predict"):
            raise Damaged(cls.FILE, "it holds no estimator")
        return cls(estimator)


class _Booster:
    """Trees that give a probability, the second class's alone where there are two."""

    def probabilities(self, matrix: Array) -> Array:
        import numpy as np

        found = self.numbers(matrix)
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found

    def decisions(self, matrix: Array) -> Array:
        raise TypeError("boosted trees are calibrated over their probabilities")

    def numbers(self, matrix: Array) -> Array:
        raise NotImplementedError


class LightGBMModel(_Booster):
    FILE: ClassVar[str] = "model.txt"

    def __init__(self, booster: Any) -> None:
        self.booster = booster

    def codes(self, matrix: Array) -> Array:
        found: Array = self.probabilities(matrix).argmax(axis=1)
        return found

    def numbers(self, matrix: Array) -> Array:
        found: Array = self.booster.predict(matrix)
        return found

    def save(self, folder: Path) -> None:
        self.booster.save_model(str(folder / self.FILE))

    @classmethod
    def read(cls, folder: Path, settings: Settings, signature: Signature) -> LightGBMModel:
        import lightgbm

        try:
            return cls(lightgbm.Booster(model_file=str(folder / cls.FILE)))
        except lightgbm.basic.LightGBMError as error:
            raise Damaged(cls.FILE, "LightGBM cannot read it") from error


class XGBoostModel(_Booster):
    FILE: ClassVar[str] = "model.ubj"

    def __init__(self, booster: Any, missing: float | None = None, best: int | None = None) -> None:
        self.booster = booster
        self._missing = float("nan") if missing is None else missing
        self._rounds = (0, best or 0)

    def codes(self, matrix: Array) -> Array:
        found = self.numbers(matrix)
        return (found > 0.5).astype(int) if found.ndim == 1 else found.argmax(axis=1)

    def numbers(self, matrix: Array) -> Array:
        found: Array = self.booster.inplace_predict(
            matrix, iteration_range=self._rounds, missing=self._missing, validate_features=False
        )
        return found

    def contributions(self, matrix: Array) -> Array:
        """SHAP values, the base last: shape (rows, columns + 1), with the classes between where there are several."""
        import xgboost

        rows = xgboost.DMatrix(matrix, missing=self._missing, feature_names=self.booster.feature_names)
        found: Array = self.booster.predict(
            rows, pred_contribs=True, iteration_range=self._rounds, validate_features=False
        )
        return found

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / self.FILE)

    @classmethod
    def read(cls, folder: Path, settings: Settings, signature: Signature) -> XGBoostModel:
        import xgboost

        booster = xgboost.Booster()
        try:
            booster.load_model(folder / cls.FILE)
        except xgboost.core.XGBoostError as error:
            raise Damaged(cls.FILE, "XGBoost cannot read it") from error
        return cls(booster, settings.missing, settings.best)


class SklearnPredictor(TabularPredictor):
    read = SklearnModel.read


class LightGBMPredictor(TabularPredictor):
    read = LightGBMModel.read
    threads = 2
    """See `protocol.Shared`: LightGBM's `predict` only reads the trees. Each call has all cores; a second one takes
    what the first one leaves idle."""


class XGBoostPredictor(TabularPredictor):
    read = XGBoostModel.read
