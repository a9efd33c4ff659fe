"""scikit-learn objects as skops files, read with the platform's own list of what may be in one.

skops builds whatever the file names that skops, or its caller, trusts. What the caller trusts must never come from the
file or from beside it (MLflow read it from the artifact: GHSA-w582-9x45-8mpx), and skops itself trusts far more than
what Craton saves. So the whole description inside the file is read first, and held against the lists below, before
skops sees it. The arrays of a tree can still be crafted so that native code falls over: load in a worker only.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from craton.core.errors import Damaged

MAX_SCHEMA = 64 << 20  # bytes of the description
MAX_BYTES = 4 << 30  # of everything, unpacked
MAX_RATIO = 200  # how many times its packed size

_NODES = """
DTypeNode DictNode JsonNode ListNode LossNode NdArrayNode ObjectNode RandomGeneratorNode RandomStateNode SetNode
SliceNode SparseMatrixNode TreeNode TupleNode TypeNode
"""
NODES = frozenset(_NODES.split())
"""Kinds of nodes that hold values. Those that call what the file names (functions, methods, partials, reduce) lack."""

_PLAIN = """
builtins.bool builtins.dict builtins.float builtins.int builtins.list builtins.set builtins.slice builtins.str
builtins.tuple collections.OrderedDict numpy.bool numpy.dtype numpy.float32 numpy.float64 numpy.int32 numpy.int64
numpy.ndarray numpy.random._generator.Generator numpy.random.mtrand.RandomState numpy.str_ numpy.uint32
numpy.uint64 numpy.uint8 scipy.sparse._csr.csr_array scipy.sparse._csr.csr_matrix
"""
_SKLEARN = {
    "_loss._loss": "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss "
    "CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss",
    "_loss.link": "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit",
    "_loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss "
    "HalfSquaredError HuberLoss PinballLoss",
    "cluster._kmeans": "KMeans MiniBatchKMeans",
    "decomposition._pca": "PCA",
    "dummy": "DummyClassifier DummyRegressor",
    "ensemble._bagging": "BaggingClassifier BaggingRegressor",
    "ensemble._forest": "ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier RandomForestRegressor",
    "ensemble._gb": "GradientBoostingClassifier GradientBoostingRegressor",
    "ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "ensemble._hist_gradient_boosting.gradient_boosting": "HistGradientBoostingClassifier "
    "HistGradientBoostingRegressor",
    "ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "ensemble._weight_boosting": "AdaBoostClassifier AdaBoostRegressor",
    "impute._base": "SimpleImputer",
    "linear_model._base": "LinearRegression",
    "linear_model._bayes": "BayesianRidge",
    "linear_model._coordinate_descent": "ElasticNet Lasso",
    "linear_model._glm.glm": "GammaRegressor PoissonRegressor TweedieRegressor",
    "linear_model._huber": "HuberRegressor",
    "linear_model._logistic": "LogisticRegression",
    "linear_model._ridge": "Ridge RidgeClassifier",
    "linear_model._sgd_fast": "EpsilonInsensitive Hinge ModifiedHuber SquaredEpsilonInsensitive SquaredHinge",
    "linear_model._stochastic_gradient": "SGDClassifier SGDRegressor",
    "metrics._dist_metrics": "ChebyshevDistance64 EuclideanDistance64 ManhattanDistance64 MinkowskiDistance64",
    "mixture._bayesian_mixture": "BayesianGaussianMixture",
    "mixture._gaussian_mixture": "GaussianMixture",
    "naive_bayes": "BernoulliNB GaussianNB MultinomialNB",
    "neighbors._ball_tree": "BallTree",
    "neighbors._classification": "KNeighborsClassifier",
    "neighbors._kd_tree": "KDTree",
    "neighbors._regression": "KNeighborsRegressor",
    "neighbors._unsupervised": "NearestNeighbors",
    "neural_network._multilayer_perceptron": "MLPClassifier MLPRegressor",
    "neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "pipeline": "Pipeline",
    "preprocessing._data": "MinMaxScaler StandardScaler",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
    "semi_supervised._label_propagation": "LabelPropagation LabelSpreading",
    "svm._classes": "LinearSVC LinearSVR NuSVC NuSVR SVC SVR",
    "tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
    "tree._tree": "Tree",
}
TYPES = frozenset(_PLAIN.split()) | {
    f"sklearn.{module}.{name}" for module, names in _SKLEARN.items() for name in names.split()
}
"""What may be in a file. A new estimator enters here when a test has shown that it comes back equal."""

_SCHEMA = "schema.json"


def save_skops(value: Any, path: Path) -> None:
    """Raises TypeError for what could not be loaded again."""
    _skops().dump(value, path, compression=zipfile.ZIP_DEFLATED)
    try:
        check_skops(path)
    except Damaged as error:
        raise TypeError(str(error)) from error


def load_skops(path: Path) -> Any:
    """Raises Damaged, also for a file that holds anything that is not on the lists."""
    check_skops(path)
    skops = _skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.load(path, trusted=sorted(TYPES))
    except UntrustedTypesFoundException as error:
        raise Damaged(path.name, "it holds what Craton does not load") from error
    except Exception as error:  # what skops and the classes' own code raise on broken states is of every kind
        raise Damaged(path.name, f"it cannot be read ({type(error).__name__})") from error


def check_skops(path: Path) -> None:
    """Reads the description alone; nothing is built and nothing imported. Raises Damaged."""
    try:
        with zipfile.ZipFile(path) as packed:
            files = packed.infolist()
            size = sum(file.file_size for file in files)
            if size > MAX_BYTES or size > MAX_RATIO * max(path.stat().st_size, 1 << 16):
                raise Damaged(path.name, "it becomes too large when it is unpacked")
            if packed.getinfo(_SCHEMA).file_size > MAX_SCHEMA:
                raise Damaged(path.name, f"its description is larger than {MAX_SCHEMA:,} bytes")
            schema = msgspec.json.decode(packed.read(_SCHEMA))
    except (zipfile.BadZipFile, KeyError, msgspec.DecodeError, RecursionError, NotImplementedError, RuntimeError) as e:
        raise Damaged(path.name, "it is not a skops file") from e
    for node in _nodes(schema):
        kind, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
        if kind not in NODES or name not in TYPES:
            raise Damaged(path.name, f"it holds {name[:100]!r}, which Craton does not load")


def _skops() -> Any:
    """skops.io, which at its import would import all of scikit-learn to learn which estimators it trusts (seconds). It
    finds none here: what is trusted is TYPES alone."""
    import sklearn.utils

    everything = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = list
    try:
        return import_module("skops.io")
    finally:
        sklearn.utils.all_estimators = everything


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object that skops would look at: those with any of the three keys."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if not value.keys().isdisjoint({"__loader__", "__module__", "__class__"}):
                yield value
            waiting += value.values()
