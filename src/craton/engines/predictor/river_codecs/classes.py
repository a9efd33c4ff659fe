"""What may be in a file: the classes, the functions that make missing entries, the methods that objects keep.

A class enters here with a row in tests/engines/predictor/test_river_codecs.py that shows it coming back equal.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

CLASSES = frozenset(
    {
        "river.drift.adwin:ADWIN",
        "river.drift.kswin:KSWIN",
        "river.drift.page_hinkley:PageHinkley",
        "river.ensemble.bagging:ADWINBaggingClassifier",
        "river.ensemble.bagging:BaggingClassifier",
        "river.ensemble.bagging:BaggingRegressor",
        "river.linear_model.lin_reg:LinearRegression",
        "river.linear_model.log_reg:LogisticRegression",
        "river.linear_model.pa:PAClassifier",
        "river.linear_model.pa:PARegressor",
        "river.multiclass.ovr:OneVsRestClassifier",
        "river.naive_bayes.gaussian:GaussianNB",
        "river.optim.adam:Adam",
        "river.optim.initializers:Zeros",
        "river.optim.losses:EpsilonInsensitiveHinge",
        "river.optim.losses:Hinge",
        "river.optim.losses:Log",
        "river.optim.losses:Squared",
        "river.optim.schedulers:Constant",
        "river.optim.sgd:SGD",
        "river.preprocessing.scale:StandardScaler",
        "river.proba.gaussian:Gaussian",
        "river.stats.mean:Mean",
        "river.stats.var:Var",
        "river.tree.hoeffding_adaptive_tree_classifier:HoeffdingAdaptiveTreeClassifier",
        "river.tree.hoeffding_adaptive_tree_regressor:HoeffdingAdaptiveTreeRegressor",
        "river.tree.hoeffding_tree_classifier:HoeffdingTreeClassifier",
        "river.tree.hoeffding_tree_regressor:HoeffdingTreeRegressor",
        "river.tree.nodes.branch:NominalBinaryBranch",
        "river.tree.nodes.branch:NominalMultiwayBranch",
        "river.tree.nodes.branch:NumericBinaryBranch",
        "river.tree.nodes.hatc_nodes:AdaLeafClassifier",
        "river.tree.nodes.hatc_nodes:AdaNomBinaryBranchClass",
        "river.tree.nodes.hatc_nodes:AdaNomMultiwayBranchClass",
        "river.tree.nodes.hatc_nodes:AdaNumBinaryBranchClass",
        "river.tree.nodes.hatr_nodes:AdaLeafRegAdaptive",
        "river.tree.nodes.hatr_nodes:AdaLeafRegMean",
        "river.tree.nodes.hatr_nodes:AdaLeafRegModel",
        "river.tree.nodes.hatr_nodes:AdaNomBinaryBranchReg",
        "river.tree.nodes.hatr_nodes:AdaNomMultiwayBranchReg",
        "river.tree.nodes.hatr_nodes:AdaNumBinaryBranchReg",
        "river.tree.nodes.htc_nodes:LeafMajorityClass",
        "river.tree.nodes.htc_nodes:LeafNaiveBayes",
        "river.tree.nodes.htc_nodes:LeafNaiveBayesAdaptive",
        "river.tree.nodes.htr_nodes:LeafAdaptive",
        "river.tree.nodes.htr_nodes:LeafMean",
        "river.tree.nodes.htr_nodes:LeafModel",
        "river.tree.splitter.ebst_splitter:EBSTNode",
        "river.tree.splitter.gaussian_splitter:GaussianSplitter",
        "river.tree.splitter.nominal_splitter_classif:NominalSplitterClassif",
        "river.tree.splitter.nominal_splitter_reg:NominalSplitterReg",
        "river.tree.splitter.tebst_splitter:TEBSTSplitter",
    }
)

METHODS = {
    "river.linear_model.pa:PAClassifier": {"_calc_tau_0", "_calc_tau_1", "_calc_tau_2"},
    "river.linear_model.pa:PARegressor": {"_calc_tau_0", "_calc_tau_1", "_calc_tau_2"},
    "river.drift.page_hinkley:PageHinkley": {"_test_increase", "_test_decrease", "_test_both"},
}
"""Which of its own methods an object may keep in an attribute."""


_SPLITTERS = {
    "river.tree.splitter.ebst_splitter:EBSTNode",
    "river.tree.splitter.nominal_splitter_reg:NominalSplitterReg",
}


def renewed(name: str) -> dict[str, Any]:
    """The attributes of a class that are left out of the file, and what they are when it is read. A Gaussian's
    generator (5 kB each, thousands in a tree) serves `sample` alone; the splitters' function is always this one where
    there is one target."""
    if name == "river.proba.gaussian:Gaussian":
        return {"_rng": random.Random(0)}
    if name in _SPLITTERS:
        return {"_update_estimator": class_named(name)._update_estimator_univariate}  # type: ignore[attr-defined]
    return {}


def name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def class_named(name: str) -> type:
    """Of one of the names above; nothing else is imported. Raises KeyError."""
    if name not in CLASSES:
        raise KeyError(name)
    module, _, kind = name.partition(":")
    found: type = getattr(import_module(module), kind)
    return found


def factories() -> dict[str, Callable[[], Any]]:
    """What makes the missing entries of a defaultdict, by name."""
    from river.naive_bayes import GaussianNB
    from river.stats import Var

    gaussian = GaussianNB._make_gaussian
    return {
        "int": int,
        "float": float,
        "dict": dict,
        "var": Var,
        "gaussian": gaussian,
        "gaussians": partial(defaultdict, gaussian),
    }


def factory_name(factory: Any) -> str | None:
    """None for one that is not among them."""
    for name, known in factories().items():
        if factory is known:
            return name
        if isinstance(factory, partial) and isinstance(known, partial):
            same = factory.func is known.func and factory.args == known.args and not factory.keywords
            if same:
                return name
    return None
