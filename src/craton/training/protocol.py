"""What a method is given and what it gives back. A trainer knows nothing of jobs, tables or the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, Literal, Protocol

from craton.core.chat import ChatRequest
from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Embed = Callable[[list[str]], np.ndarray[Any, Any]]
    """Texts -> unit vectors, shape (texts, components), float32."""


Score = Callable[[dict[str, Any], int], float]
"""(parameters, fold) -> the metric as it is. Raises ValueError, TypeError or InvalidRequest for parameters that do not
work."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the processes of a run exchange tensors. rank: of this one, 0 leads. here: its own address. listener: the
    leader's, bound to the port already."""

    host: str
    port: int
    rank: int
    size: int
    here: str
    listener: socket | None


class Helped(Exception):
    """A helper has done what there was to help with. The method lets this pass."""


class Team(Protocol):
    """The processes that work on one run. All of them read the same rows and come by the same code to the same call of
    `spread` or `meet`; only the leader gets further than there with a result."""

    @property
    def leads(self) -> bool: ...

    def spread(self, score: Score) -> Score:
        """The same, measured by whoever is free; safe in as many threads as the team has members. A helper measures
        what the leader asks for, then raises Helped."""
        ...

    def meet(self) -> Meeting | None:
        """Blocks until all are there, or none is waited for any more. None: this process is alone."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's. stop: why it ended ("end_turn", "max_tokens" ...), or "context" where the question was too long."""

    text: str
    stop: str


class Outside(Protocol):
    """What a run may ask beside its data. All calls block."""

    def allow_code(self) -> None:
        """Raises Unsupported where the operator does not let functions of users run."""
        ...

    def pinned(self, model: str) -> str:
        """A model that is served, by the revision that it has now. Raises NotFound, InvalidRequest when it writes no
        answers."""
        ...

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer]]:
        """Each with its request's place, as they come: as many at once as the engine takes. What fails in passing is
        asked again. Raises what a model raises, and what `Run.check` does."""
        ...

    def post(self, url: str, body: bytes, key: str, seconds: float) -> bytes:
        """JSON to an address on the operator's allow-list; what it answers, of bounded length. key: the same for the
        same question, which may come twice. Raises OutgoingRefused, ConnectionError with what went wrong."""
        ...


class Run(Protocol):
    """The run as a trainer sees it. All calls are quick and safe in threads."""

    def check(self) -> None:
        """Call at every step: raises JobCancelled, JobLost when the run is to stop."""
        ...

    def progress(self, done: int, total: int | None, unit: str) -> None: ...

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """A point of a curve, or (step None) a figure of the whole run. Not finite: kept as it is, and shown."""
        ...

    def parameter(self, name: str, value: Any) -> None: ...

    def log(self, message: str) -> None: ...

    def warn(self, message: str) -> None:
        """For what the user must see: it is in the log, the report and the answer of `craton train`."""
        ...

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        """A folder with the files of a repository that the run's tenant may read ("acme/churn@main"; a starter model by
        its bare name), to be read only, kept to the end of this attempt. A space must be the tenant's own.

        Raises NotFound, Forbidden.
        """
        ...

    def team(self, size: int, *, here: bool) -> Team:
        """At most so many processes, this one counted: on the run's cluster, or (here) as children of this one where
        there is no cluster. They are gone at the end of this attempt."""
        ...

    @property
    def outside(self) -> Outside: ...

    @property
    def folder(self) -> Path:
        """For checkpoints: kept over the attempts of this run, removed at its end. Write beside a file, then rename."""
        ...


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows as frames. fields: of the features, in order. Only the splits that were asked for hold rows.

    text fields hold strings; `embedded` says which of them are to be embedded, by `embed`.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    fields: tuple[Field, ...]
    target: Field | None
    embed: Embed | None = None
    sensitive: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture for the report. name: of the file, without its ending. data: what is drawn, as JSON."""

    name: str
    title: str
    png: bytes
    data: Any = None


@dataclass(frozen=True, slots=True)
class Trained:
    """metrics: on the test rows, by name. notes: sentences for the model card (limits, what was left out).

    predictor: None when the artifact is no predictor but an ordinary repository that an engine serves already (a tuned
    encoder): its files lie in `folder` then, and there is no model.json beside them. bases: models of the hub that
    it was made from, as the specification names them.
    """

    predictor: Predictor | None
    metrics: dict[str, float]
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    bases: tuple[str, ...] = ()
