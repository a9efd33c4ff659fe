"""The learners of labelled tables by short names, each as its library's own estimator over a matrix of numbers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from craton.core.errors import CratonError, InvalidRequest
from craton.engines.predictor.preprocessing import Style
from craton.training.specification.suggesting import did_you_mean, unknown

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Task = Literal["classification", "regression"]


class Known(Struct, frozen=True):
    """classifier, regressor: "module:Class", "" where the family has none. scaled: numbers are brought to mean 0 and
    variance 1 first. defaults: parameters of ours, which the specification's own come before."""

    classifier: str
    regressor: str
    style: Style = "codes"
    scaled: bool = False
    defaults: dict[str, Any] = {}


def _scaled(classifier: str, regressor: str) -> Known:
    return Known(classifier, regressor, "one-hot", True)


KNOWN = {
    "bayesian-ridge": _scaled("", "sklearn.linear_model:BayesianRidge"),
    "decision-tree": Known("sklearn.tree:DecisionTreeClassifier", "sklearn.tree:DecisionTreeRegressor", "one-hot"),
    "dummy": Known("sklearn.dummy:DummyClassifier", "sklearn.dummy:DummyRegressor"),
    "elastic-net": _scaled("", "sklearn.linear_model:ElasticNet"),
    "extra-trees": Known("sklearn.ensemble:ExtraTreesClassifier", "sklearn.ensemble:ExtraTreesRegressor", "one-hot"),
    "gradient-boosting": Known(
        "sklearn.ensemble:GradientBoostingClassifier", "sklearn.ensemble:GradientBoostingRegressor", "one-hot"
    ),
    "hist-gradient-boosting": Known(
        "sklearn.ensemble:HistGradientBoostingClassifier", "sklearn.ensemble:HistGradientBoostingRegressor", "one-hot"
    ),
    "huber": _scaled("", "sklearn.linear_model:HuberRegressor"),
    "k-nearest-neighbors": _scaled("sklearn.neighbors:KNeighborsClassifier", "sklearn.neighbors:KNeighborsRegressor"),
    "lasso": _scaled("", "sklearn.linear_model:Lasso"),
    "lightgbm": Known("lightgbm:LGBMClassifier", "lightgbm:LGBMRegressor", defaults={"verbose": -1}),
    "linear-regression": _scaled("", "sklearn.linear_model:LinearRegression"),
    "linear-svm": _scaled("sklearn.svm:LinearSVC", "sklearn.svm:LinearSVR"),
    "logistic-regression": _scaled("sklearn.linear_model:LogisticRegression", ""),
    "mlp": _scaled("sklearn.neural_network:MLPClassifier", "sklearn.neural_network:MLPRegressor"),
    "naive-bayes": Known("sklearn.naive_bayes:GaussianNB", "", "one-hot"),
    "random-forest": Known(
        "sklearn.ensemble:RandomForestClassifier", "sklearn.ensemble:RandomForestRegressor", "one-hot"
    ),
    "ridge": _scaled("sklearn.linear_model:RidgeClassifier", "sklearn.linear_model:Ridge"),
    "sgd": _scaled("sklearn.linear_model:SGDClassifier", "sklearn.linear_model:SGDRegressor"),
    "svm": _scaled("sklearn.svm:SVC", "sklearn.svm:SVR"),
    "xgboost": Known("xgboost:XGBClassifier", "xgboost:XGBRegressor", "one-hot"),
}
BOOSTERS = frozenset({"lightgbm", "xgboost"})
"""They take missing values as they are, and fit round by round."""


def known(use: str, task: Task) -> Known:
    """Raises InvalidRequest."""
    found = KNOWN.get(use)
    if found is None or not (found.classifier if task == "classification" else found.regressor):
        names = (name for name, one in KNOWN.items() if (one.classifier if task == "classification" else one.regressor))
        raise InvalidRequest(unknown(f"learner for {task}", use, names), "model.use")
    return found


def estimator(use: str, task: Task, params: dict[str, Any], seed: int, *, missing: bool = False) -> Any:
    """A fresh estimator of scikit-learn's kind; inside a Pipeline whose last step is "model" where the numbers have to
    be filled in (missing: some are) or scaled first. Raises InvalidRequest for parameters that it does not have."""
    entry = known(use, task)
    module, _, name = (entry.classifier if task == "classification" else entry.regressor).partition(":")
    kind = getattr(import_module(module), name)
    given = {**entry.defaults, **params}
    plain = kind()
    names = set(plain.get_params())
    if use == "lightgbm":
        names |= _lightgbm_names()
    if use != "xgboost":  # which warns of those that it does not use
        for key in params:
            if key not in names:
                hint = did_you_mean(key, names)
                raise InvalidRequest(
                    f"{name} has no such parameter" + (f"; {hint}" if hint else ""), f"model.params.{key}"
                )
    if "random_state" in names and not {"random_state", "seed"} & params.keys():
        given["random_state"] = seed
    model = kind(**given)
    steps = list(_before(entry, missing and not _takes_missing(use, model)))
    if not steps:
        return model
    from sklearn.pipeline import Pipeline

    return Pipeline([*steps, ("model", model)])


def _lightgbm_names() -> set[str]:
    """All that its core knows; what it does not know it would pass over in silence."""
    from lightgbm.basic import _ConfigAliases

    aliases = _ConfigAliases._get_all_param_aliases()
    return {*aliases, *(alias for others in aliases.values() for alias in others)}


def _before(entry: Known, fill: bool) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    if fill:
        from sklearn.impute import SimpleImputer  # takes long to import

        steps.append(("fill", SimpleImputer(strategy="median", keep_empty_features=True)))
    if entry.scaled:
        from sklearn.preprocessing import StandardScaler

        steps.append(("scale", StandardScaler()))
    return steps


def _takes_missing(use: str, model: Any) -> bool:
    return use in BOOSTERS or bool(model.__sklearn_tags__().input_tags.allow_nan)


def last(estimator: Any) -> Any:
    """The model itself, without what stands before it."""
    return estimator.named_steps["model"] if hasattr(estimator, "named_steps") else estimator


def takes_weights(estimator: Any) -> bool:
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(last(estimator), "sample_weight"))


def fit(estimator: Any, matrix: Array, answers: Array, weights: Array | None = None, **more: Any) -> Any:
    """more: of the model's own `fit`. Returns the estimator. Raises InvalidRequest for what its library refuses."""
    given = dict(more) if weights is None else {**more, "sample_weight": weights}
    prefix = "model__" if hasattr(estimator, "named_steps") else ""
    try:
        return estimator.fit(matrix, answers, **{prefix + name: value for name, value in given.items()})
    except CratonError:
        raise
    except _refusals(last(estimator)) as error:
        raise InvalidRequest(" ".join(str(error).split())[:500], "model.params") from error


def _refusals(model: Any) -> tuple[type[Exception], ...]:
    """What libraries raise for parameters, and data, that they do not take."""
    own = {"lightgbm": ("lightgbm.basic", "LightGBMError"), "xgboost": ("xgboost.core", "XGBoostError")}
    place = own.get(type(model).__module__.partition(".")[0])
    return (ValueError, TypeError, *((getattr(import_module(place[0]), place[1]),) if place else ()))
