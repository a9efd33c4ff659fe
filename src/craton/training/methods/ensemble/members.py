"""Members: learners that can be fitted to any rows, and models of the hub that are what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from craton.core.errors import CratonError, InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.loaders import load_described
from craton.engines.predictor.manifest import NAME, read_manifest
from craton.engines.predictor.pipelines import Settings
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import classification_outputs, regression_outputs
from craton.training.methods.ensemble.by_method import OPTIONS, ByMethod, Fits, by_method
from craton.training.methods.ensemble.texts import refuse_texts, taken
from craton.training.methods.supervised.learners import Task, takes_weights
from craton.training.methods.supervised.training import Fitting, as_predictor
from craton.training.protocol import Run, Tables
from craton.training.specification.methods import Ensemble, Member

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Trainable:
    name: str
    fitting: Fitting
    params: dict[str, Any]

    def fit(self, places: Array, weights: Array | None = None) -> Predictor:
        """On these training rows. Raises InvalidRequest for parameters that do not work."""
        fitting = self.fitting
        try:
            made = fitting.fit_on(places, self.params, weights)
        except (TypeError, ValueError) as error:
            if isinstance(error, CratonError):
                raise
            raise InvalidRequest(f"{self.name}: {error!s:.500}", "members") from error
        known = _known(fitting, made)
        if known is None:
            outputs = regression_outputs()
        else:
            outputs = classification_outputs(known, probabilities=hasattr(made, "predict_proba"))
        signature = Signature(fitting.tables.fields, outputs, fitting.target)
        return as_predictor(made, signature, Settings(fitting.style))

    @property
    def takes_weights(self) -> bool:
        return takes_weights(self.fitting.fresh(self.params))

    @property
    def rows(self) -> int:
        return len(self.fitting.answers)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Of the hub. source: its reference, and where it comes from."""

    name: str
    predictor: Predictor
    source: dict[str, str]


Learned = Trainable | ByMethod
Candidate = Learned | Fixed


def models_of_hub(spec: Ensemble, run: Run) -> dict[int, Fixed]:
    """By their places among the members. Raises InvalidRequest that names the member, and NotFound or Forbidden."""
    if not spec.members:
        raise InvalidRequest("an ensemble has members: name learners, or models of the hub", "members")
    found = {}
    for place, member in enumerate(spec.members):
        where = f"members.{place}"
        if bool(member.use) == bool(member.hub):
            raise InvalidRequest("is either a learner (use) or a model (hub)", where)
        if member.hub:
            found[place] = _from_hub(member, where, run)
    return found


def candidates(spec: Ensemble, task: Task, tables: Tables, models: Mapping[int, Fixed], run: Run) -> list[Candidate]:
    """tables: with vectors in the place of texts, but for those that a member reads as they are.

    Raises InvalidRequest that names the member.
    """
    found: list[Candidate] = []
    fits = Fits(run)
    for place, member in enumerate(spec.members):
        if place in models:
            _check_fits(models[place].predictor.signature, tables, f"members.{place}.hub")
            found.append(models[place])
        elif member.method:
            found.append(by_method(member, place, spec, task, tables, fits))
        else:
            found.append(_learner(member, place, spec, task, tables, run))
    return found


def _learner(member: Member, place: int, spec: Ensemble, task: Task, tables: Tables, run: Run) -> Trainable:
    for name in OPTIONS:
        if getattr(member, name) is not None:
            raise InvalidRequest("is for members with a method (deep, transfer)", f"members.{place}.{name}")
    fields = taken(member, place, tables.fields)
    refuse_texts(fields, place)
    try:
        fitting = Fitting(member.use, task, spec.seed, replace(tables, fields=fields), run)
        fitting.fresh(member.params)
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, f"members.{place}.{error.field.removeprefix('model.')}") from error
    alike = sum(other.use == member.use and not other.method for other in spec.members)
    return Trainable(member.use if alike == 1 else f"{member.use} ({place})", fitting, member.params)


def _from_hub(member: Member, where: str, run: Run) -> Fixed:
    for name in ("params", "method", "features", *OPTIONS):
        if getattr(member, name):
            raise InvalidRequest("a model of the hub is what it is and takes none", f"{where}.{name}")
    folder = run.checkout("model", member.hub)
    if not (folder / NAME).is_file():
        raise InvalidRequest(f"{member.hub} is no model that training made here", f"{where}.hub")
    manifest = read_manifest(folder / NAME)
    return Fixed(member.hub, load_described(folder, manifest), {"hub": member.hub, **manifest.lineage})


def _check_fits(signature: Signature, tables: Tables, where: str) -> None:
    """Raises InvalidRequest where the model takes or says something else than there is here."""
    fields = {field.name: field for field in tables.fields}
    for wanted in signature.inputs:
        given = fields.get(wanted.name)
        if given is None:
            raise InvalidRequest(f"the model takes a column {wanted.name!r}, which is no feature here", where)
        if (given.embedder, given.shape) != (wanted.embedder, wanted.shape):
            raise InvalidRequest(f"the model takes {wanted.name!r} otherwise than it is here: {_said(wanted)}", where)
    assert tables.target is not None
    said = signature.outputs.get("predict")
    if said is None or bool(said[0].categories) != bool(tables.target.categories):
        what = "classes" if tables.target.categories else "numbers"
        raise InvalidRequest(f"the model does not predict {what}", where)
    if said[0].categories and not {*said[0].categories} & {*tables.target.categories}:
        raise InvalidRequest("the model knows none of the classes here", where)


def _said(field: Field) -> str:
    return f"vectors of {field.embedder}" if field.embedder else f"{field.kind} of shape {field.shape}"


def _known(fitting: Fitting, made: Any) -> Field | None:
    """The target with the classes that this estimator has seen: in few rows, one may be missing."""
    target = fitting.target
    if not target.categories:
        return None
    if not hasattr(made, "predict_proba"):
        return target  # says codes, of all classes
    categories = tuple(target.categories[int(code)] for code in made.classes_)
    return Field(target.name, "category", categories=categories)
