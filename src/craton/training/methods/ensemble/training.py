"""Ensembles, held against their best member."""

from __future__ import annotations

from craton.core.errors import InvalidRequest
from craton.engines.predictor.committees import Committee
from craton.engines.predictor.protocol import Predictor
from craton.training.methods.comparing import compared
from craton.training.methods.ensemble.combining import Making
from craton.training.methods.ensemble.members import Candidate, Fixed, candidates, models_of_hub
from craton.training.methods.ensemble.texts import prepared
from craton.training.methods.hearing import heard
from craton.training.methods.supervised.learners import Task
from craton.training.methods.supervised.training import judge_classifier, judge_regressor
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Ensemble


def train(spec: Ensemble, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest, and NotFound or Forbidden for a model of the hub."""
    assert tables is not None
    if tables.target is None:
        raise InvalidRequest("needs the column that is to be predicted", "data.target")
    classes = bool(tables.target.categories)
    models = models_of_hub(spec, run)
    tables = prepared(spec, tables, {place: one.predictor for place, one in models.items()}, run)
    task: Task = "classification" if classes else "regression"
    members = candidates(spec, task, tables, models, run)
    _warn_of_known_rows(spec, members, run)
    making = Making(spec, task, tables, members, run)
    with heard(run):
        committee = making.committee()
        alone = _alone(spec, making, committee)
    if classes:
        metrics, notes = judge_classifier(committee, tables.test, spec.eval.metrics)
    else:
        metrics, notes = judge_regressor(committee, tables.test, spec.eval.metrics), []
    notes = [_composed(spec, members, committee), *notes]
    figures = []
    if len(tables.test):
        beside = compared(committee, alone, tables, f"the ensemble ({spec.model.use})")
        metrics |= {"gain": beside.gain, "best_member": beside.other}
        notes.append(f"{beside.note} The best member was found on the same rows, which flatters it.")
        figures.append(beside.figure)
    bases = tuple(one.source["hub"] for one in members if isinstance(one, Fixed))
    return Trained(committee, metrics, figures, notes, bases=bases)


def _alone(spec: Ensemble, making: Making, committee: Committee) -> dict[str, Predictor]:
    """Every member by itself, on all training rows."""
    whole = spec.model.use in {"voting", "stacking"}
    predictors = committee.members if whole else making.fitted()
    return {one.name: predictor for one, predictor in zip(making.candidates, predictors, strict=True)}


def _composed(spec: Ensemble, members: list[Candidate], committee: Committee) -> str:
    named = ", ".join(one.name for one in members)
    count = f"{len(committee.members):,} members of " if spec.model.use in {"bagging", "boosting"} else ""
    hub = [one.source for one in members if isinstance(one, Fixed)]
    said = f"Made by {spec.model.use} of {count}{named}."
    for source in hub:
        run = f", run {source['run']}" if "run" in source else ""
        data = f" on {source['dataset']}" if "dataset" in source else ""
        said += f" {source['hub']} was in the hub already (trained{data}{run}); a copy of it is in this model."
    return said


def _warn_of_known_rows(spec: Ensemble, members: list[Candidate], run: Run) -> None:
    """A model that was trained on the same data may know the rows that it is judged on here."""
    own = spec.data.ref.partition("@")[0]
    for one in members:
        if isinstance(one, Fixed) and one.source.get("dataset", "").partition("@")[0] == own:
            run.warn(
                f"{one.name} was trained on {own}, too: it may know rows that it is judged on here, and look better "
                f"than it is. The same data.split and seed in both keep the test rows apart."
            )
