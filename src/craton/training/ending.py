"""The end of a run, whatever its method: its figures are held against the gate, and its folder is published."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from craton.core.errors import Conflict, InvalidRequest
from craton.core.job import Running
from craton.hub.repositories import Hub
from craton.training.artifacts.publishing import publish
from craton.training.protocol import Run, Trained
from craton.training.specification.gates import read_gate
from craton.training.specification.methods import Specification
from craton.training.specification.reading import output_repo
from craton.training.specification.tuning import Tuned

AUTHOR = "craton"


class Publishes(Protocol):
    """private: whether a new repository is, where the specification does not say it."""

    @property
    def hub(self) -> Hub: ...

    @property
    def private(self) -> bool: ...


class Publishing(Run, Protocol):
    def published(self, model: str, revision: str) -> None: ...


def finish(
    running: Running,
    spec: Specification | Tuned,
    trained: Trained,
    folder: Path,
    run: Publishing,
    parts: Publishes,
) -> str:
    """The revision, "" when nothing was to be published. Raises Conflict when the gate does not hold, InvalidRequest
    when its metric was not measured, and what publishing raises."""
    judge(spec.eval.gate, trained, run)
    output = spec.output
    if not output.model:
        return ""
    run.check()
    private = parts.private if output.private is None else output.private
    job = running.job
    revision = publish(parts.hub, job.tenant, AUTHOR, output_repo(spec), output.branch, folder, job.id, private=private)
    run.published(output.model, revision)
    return revision


def judge(text: str, trained: Trained, run: Run) -> None:
    gate = read_gate(text)
    if gate is None:
        return
    if gate.metric not in trained.metrics:
        measured = ", ".join(sorted(trained.metrics))
        raise InvalidRequest(f"{gate.metric} was not measured; there are {measured}", "eval.gate")
    if not gate.holds(trained.metrics):
        value = trained.metrics[gate.metric]
        raise Conflict("gate", str(gate), f"{gate.metric} is {value:.6g}, so nothing was published")
    run.log(f"the gate holds: {gate.metric} is {trained.metrics[gate.metric]:.6g} ({gate})")
