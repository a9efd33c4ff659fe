"""Rows in their order: each is predicted, then learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.learners import Kind, RiverLearner
from craton.engines.predictor.preprocessing import codes
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES, classification_outputs, regression_outputs
from craton.training.data.embedding import embedded
from craton.training.methods.drawing import curves
from craton.training.methods.online.models import build, detector
from craton.training.metrics import classification_metrics, regression_metrics
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Online

if TYPE_CHECKING:
    import pandas as pd

POINTS = 200  # of a curve


def train(spec: Online, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest, Unsupported."""
    if tables is None or tables.target is None:
        raise InvalidRequest("online learning needs the column that is to be predicted", "data.target")
    target = tables.target
    kind = kind_of(spec, target)
    tables = embedded(tables, run)
    built = build(spec.model.use, spec.model.params, kind, tables.fields, spec.seed)
    learner = RiverLearner(
        signature(tables.fields, target, kind),
        built.model,
        kind=kind,
        take=built.take,
        scaler=built.scaler,
        detector=detector(spec.drift, spec.seed),
    )
    stream = _stream(tables)
    predicted, curve = _learn(learner, stream, target, run)
    metrics = _metrics(kind, target, learner, stream, predicted, spec.eval.metrics)
    label = "mean error" if kind == "regression" else "accuracy"
    figures = []
    if spec.eval.report:
        drifts = learner.tally.drifts[:100]
        figures = [curves("progressive", f"Progressive {label}", {label: curve}, "rows", label, marks=drifts)]
    notes = ["Figures are progressive: each row was predicted before it was learned from."]
    if len(tables.test):
        held = _held_out(kind, tables, learner, spec.eval.metrics)
        metrics = held | {f"progressive_{name}": value for name, value in metrics.items()}
        notes = [
            "Figures are of the held-out rows; those named progressive_ of the stream, each row before its lesson."
        ]
    if learner.tally.drifts:
        run.log(f"{len(learner.tally.drifts)} drifts, the last at row {learner.tally.drifts[-1]:,}")
    return Trained(learner, metrics, figures, notes)


def kind_of(spec: Online, target: Field) -> Kind:
    """What the target looks like, unless the specification says it."""
    classes = len(target.categories)
    task = spec.task or ("classification" if classes else "regression")
    if task == "regression":
        if target.kind not in {"number", "integer"}:
            raise InvalidRequest(f"{target.name!r} holds no numbers", "data.target")
        return "regression"
    if classes < 2:
        raise InvalidRequest(f"{target.name!r} has no two classes to tell apart", "data.target")
    return "binary" if classes == 2 else "multiclass"


def signature(fields: tuple[Field, ...], target: Field, kind: Kind) -> Signature:
    outputs = regression_outputs() if kind == "regression" else classification_outputs(target)
    return Signature(fields, {**outputs, "learn": ()}, target)


def _stream(tables: Tables) -> pd.DataFrame:
    import pandas as pd

    parts = [part for part in (tables.train, tables.validation) if len(part)]
    if not parts:
        raise InvalidRequest("there is no row to learn from", "data")
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]


def _learn(
    learner: RiverLearner, stream: pd.DataFrame, target: Field, run: Run
) -> tuple[list[Any], list[tuple[float, float]]]:
    """What was predicted for each row, and the curve of how well."""
    answers = learner.answers(stream[target.name].tolist())
    regression = not target.categories or isinstance(answers[0], float)
    name = "progressive_error" if regression else "progressive_accuracy"
    every = max(1, len(answers) // POINTS)
    predicted: list[Any] = []
    curve: list[tuple[float, float]] = []
    for number, (row, answer) in enumerate(zip(learner.rows(stream), answers, strict=True), 1):
        guess, drifted = learner.take_in(row, answer)
        predicted.append(guess)
        if drifted:
            run.log(f"Drift at row {number:,}: the error is not what it was")
        if number % every == 0 or number == len(answers):
            run.check()
            mean = learner.tally.error / number
            curve.append((number, mean if regression else 1.0 - mean))
            run.metric(name, curve[-1][1], number)
            run.progress(number, len(answers), "rows")
    return predicted, curve


def _metrics(
    kind: Kind,
    target: Field,
    learner: RiverLearner,
    stream: pd.DataFrame,
    predicted: list[Any],
    wanted: list[str] | None,
) -> dict[str, float]:
    import numpy as np

    truth = learner.answers(stream[target.name].tolist())
    if kind == "regression":
        return regression_metrics(np.array(truth), np.array(predicted), wanted)
    shares, places = np.array(predicted), np.array(truth, np.int64)
    return classification_metrics(places, shares.argmax(axis=1), shares, len(target.categories), wanted)


def _held_out(kind: Kind, tables: Tables, learner: RiverLearner, wanted: list[str] | None) -> dict[str, float]:
    import numpy as np

    assert tables.target is not None
    truth = tables.test[tables.target.name].tolist()
    if kind == "regression":
        found = learner.run("predict", tables.test)[PREDICTION]
        return regression_metrics(np.array(truth, np.float64), found, wanted)
    shares = learner.run("predict_proba", tables.test)[PROBABILITIES]
    places = codes(truth, tables.target.categories)
    return classification_metrics(places, shares.argmax(axis=1), shares, len(tables.target.categories), wanted)
