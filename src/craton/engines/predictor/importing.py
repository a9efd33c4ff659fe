"""Libraries of boosted trees, imported without scikit-learn: they take it along for classes in its manner, and it takes
a second of processor time and 80 MB that reading and asking a model needs none of."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from craton.engines.predictor.manifest import NAME, read_manifest
from craton.engines.protocol import EngineSpec

ALONE = frozenset({"lightgbm", "xgboost"})
"""Modules, and the manifests' names of what they load."""

_TAKEN_ALONG = "sklearn"


def import_alone(name: str) -> None:
    """For a process that does nothing else meanwhile (to its other threads scikit-learn would not be installed), and
    that never trains. Raises ImportError."""
    modules: dict[str, Any] = sys.modules
    if name not in ALONE or _TAKEN_ALONG in modules:
        import_module(name)
        return
    modules[_TAKEN_ALONG] = None  # what Python takes for a module that is not there
    try:
        import_module(name)
    finally:
        del modules[_TAKEN_ALONG]


def import_for(spec: EngineSpec) -> None:
    """What a worker's model needs, where that is all it needs. Raises Damaged."""
    if NAME in spec.files and (loader := read_manifest(Path(spec.files[NAME])).loader) in ALONE:
        try:
            import_alone(loader)
        except ImportError:
            return  # loading says it
