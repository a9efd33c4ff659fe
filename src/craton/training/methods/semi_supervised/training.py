"""Classifiers from a few labelled rows and many others, held against what the labelled rows give alone.

Self-training: Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods" (1995). Label propagation:
Zhu and Ghahramani, "Learning from labeled and unlabeled data with label propagation" (2002). Label spreading: Zhou et
al., "Learning with local and global consistency" (2004). All by scikit-learn. They help where near rows have one label,
and can hurt where they do not: the gain is told with the sign that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Signature
from craton.engines.predictor.pipelines import Settings, TabularPredictor
from craton.engines.predictor.preprocessing import encode
from craton.engines.predictor.signatures import classification_outputs
from craton.training.data.embedding import embedded
from craton.training.methods.comparing import compared
from craton.training.methods.hearing import heard
from craton.training.methods.semi_supervised.labels import UNKNOWN, labels
from craton.training.methods.supervised.learners import estimator, known
from craton.training.methods.supervised.training import as_predictor, judge_classifier
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import SemiSupervised
from craton.training.specification.suggesting import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SELF_TRAINING = "self-training"
BASE = "logistic-regression"
NEIGHBORS = 10
MOST_DENSE = 10_000  # rows that each are compared with all others
RIVALS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("k-nearest-neighbors", {"n_neighbors": 1}),
    ("logistic-regression", {}),
    ("svm", {}),
)
"""What the graph methods are held against: the best of these by cross-validation on the labelled rows."""


def train(spec: SemiSupervised, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest."""
    assert tables is not None
    if tables.target is None:
        raise InvalidRequest("needs the column that is to be predicted", "data.target")
    tables = embedded(_with_known_tests(tables), run)
    answers, hidden = labels(tables, spec.labeled, spec.seed)
    run.check()
    with heard(run):
        fitted = _Fitted(spec, tables, answers, run)
        predictor, said = fitted.self_trained() if spec.model.use == SELF_TRAINING else fitted.spread()
        run.check()
        name, alone = fitted.labelled_alone()
    metrics, notes = judge_classifier(predictor, tables.test, spec.eval.metrics)
    counts = f"{int((answers != UNKNOWN).sum()):,} of {len(answers):,} training rows had a label."
    notes = [counts, *notes]
    figures = []
    if len(tables.test):
        beside = compared(predictor, {f"{name}, labelled rows alone": alone}, tables, spec.model.use, "all rows")
        metrics |= {"gain": beside.gain, "labeled_only_accuracy": beside.other}
        notes.append(beside.note)
        figures.append(beside.figure)
    right = _hidden_right(said, hidden)
    if right is not None:
        metrics["hidden_labels_accuracy"] = right
        notes.append(f"Of the labels that were hidden and that it gave itself, {right:.1%} are right.")
    return Trained(predictor, metrics, figures, notes)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """answers: codes, UNKNOWN for rows without a label."""

    spec: SemiSupervised
    tables: Tables
    answers: Array
    run: Run

    def self_trained(self) -> tuple[TabularPredictor, Array]:
        """And what it says of the training rows, UNKNOWN where it was never sure."""
        from sklearn.semi_supervised import SelfTrainingClassifier

        use, base = self._base()
        params = {name: value for name, value in self.spec.model.params.items() if name != "estimator"}
        _check(params, {"criterion", "k_best", "max_iter", "threshold", "verbose"}, "SelfTrainingClassifier")
        matrix = encode(self.tables.train, self.tables.fields, known(use, "classification").style)
        learner = self._estimator(use, base, matrix)
        if not hasattr(learner, "predict_proba"):
            raise InvalidRequest(
                f"{use} gives no probabilities, so nothing says how sure it is; {BASE} does", "model.params.estimator"
            )
        made = self._fit(SelfTrainingClassifier(estimator=learner, **params), matrix)
        rounds = int(getattr(made, "n_iter_", 0))
        added = int(((made.transduction_ != UNKNOWN) & (self.answers == UNKNOWN)).sum())
        self.run.log(f"{added:,} rows got a label in {rounds} rounds ({made.termination_condition_})")
        if made.termination_condition_ == "max_iter":
            self.run.warn(f"Self-training was stopped after {rounds} rounds; params.max_iter allows more.")
        return self._predictor(use, made.estimator_), made.transduction_

    def spread(self) -> tuple[TabularPredictor, Array]:
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.semi_supervised import LabelPropagation, LabelSpreading

        params = {"kernel": "knn", "n_neighbors": NEIGHBORS, **self.spec.model.params}
        kind = LabelSpreading if self.spec.model.use == "label-spreading" else LabelPropagation
        _check(params, set(kind().get_params()), kind.__name__)
        if params["kernel"] not in {"knn", "rbf"}:
            raise InvalidRequest("'knn' or 'rbf'", "model.params.kernel")
        matrix = encode(self.tables.train, self.tables.fields, "one-hot")
        if params["kernel"] == "rbf" and len(matrix) > MOST_DENSE:
            raise InvalidRequest(
                f"'rbf' compares every row with every other, at most {MOST_DENSE:,}; use 'knn'", "model.params.kernel"
            )
        filling = SimpleImputer(strategy="median", keep_empty_features=True)
        made = self._fit(Pipeline([("fill", filling), ("scale", MinMaxScaler()), ("model", kind(**params))]), matrix)
        model = made.named_steps["model"]
        said = model.transduction_.copy()
        apart = ~(model.label_distributions_.sum(axis=1) > 0)
        if apart.any():
            said[apart] = UNKNOWN
            self.run.warn(
                f"No label reaches {int(apart.sum()):,} of {len(matrix):,} training rows, and none of those near them: "
                f"all classes are equally likely there. A larger n_neighbors connects more."
            )
        return self._predictor("", made), said

    def labelled_alone(self) -> tuple[str, TabularPredictor]:
        """The learner by name, and fitted on the labelled rows."""
        import numpy as np

        rows = np.flatnonzero(self.answers != UNKNOWN)
        own = self.answers[rows]
        use, params = self._base() if self.spec.model.use == SELF_TRAINING else self._rival(rows, own)
        matrix = encode(self.tables.train.iloc[rows], self.tables.fields, known(use, "classification").style)
        return use, self._predictor(use, self._estimator(use, params, matrix).fit(matrix, own))

    def _rival(self, rows: Array, answers: Array) -> tuple[str, dict[str, Any]]:
        import numpy as np
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        folds = min(3, int(np.bincount(answers).min()))
        if folds < 2:
            return RIVALS[0]
        matrix = encode(self.tables.train.iloc[rows], self.tables.fields, "one-hot")
        split = StratifiedKFold(folds, shuffle=True, random_state=self.spec.seed)
        scores = [
            cross_val_score(self._estimator(use, params, matrix), matrix, answers, cv=split).mean()
            for use, params in RIVALS
        ]
        return RIVALS[int(np.argmax(scores))]

    def _base(self) -> tuple[str, dict[str, Any]]:
        """model.params.estimator: a learner's name, or {use: , params: }."""
        asked = self.spec.model.params.get("estimator", BASE)
        if isinstance(asked, str):
            return asked, {}
        if isinstance(asked, dict) and asked.keys() <= {"use", "params"} and isinstance(asked.get("use"), str):
            return asked["use"], dict(asked.get("params") or {})
        raise InvalidRequest("is a learner's name, or {use: , params: }", "model.params.estimator")

    def _estimator(self, use: str, params: dict[str, Any], matrix: Array) -> Any:
        import numpy as np

        missing = bool(np.isnan(matrix).any())
        return estimator(use, "classification", params, self.spec.seed, missing=missing)

    def _fit(self, made: Any, matrix: Array) -> Any:
        try:
            return made.fit(matrix, self.answers)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(str(error).strip().partition("\n")[0][:500], "model.params") from error

    def _predictor(self, use: str, made: Any) -> TabularPredictor:
        target = self.tables.target
        assert target is not None
        style = known(use, "classification").style if use else "one-hot"
        outputs = classification_outputs(target, probabilities=hasattr(made, "predict_proba"))
        return as_predictor(made, Signature(self.tables.fields, outputs, target), Settings(style))


def _check(params: dict[str, Any], names: set[str], kind: str) -> None:
    for name in params:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InvalidRequest(
                f"{kind} has no such parameter" + (f"; {hint}" if hint else ""), f"model.params.{name}"
            )


def _with_known_tests(tables: Tables) -> Tables:
    """Rows without an answer judge nothing."""
    from dataclasses import replace

    assert tables.target is not None
    answered = tables.test[tables.target.name].notna()
    return replace(tables, test=tables.test[answered].reset_index(drop=True))


def _hidden_right(said: Array, hidden: Array) -> float | None:
    judged = (hidden != UNKNOWN) & (said != UNKNOWN)
    return float((said[judged] == hidden[judged]).mean()) if judged.any() else None
