"""Jobs: work that outlives the request that asked for it. A job is a row first and a process second."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from craton.core.chat import Json

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Level = Literal["info", "warning", "error"]


class JobSpec(Struct, frozen=True):
    """What is asked for. kind: picks the code that runs it ("ingest", "reindex" ...). subject: what it works on, for
    people ("knowledge base handbook"). exclusive: at most one unfinished job of a tenant may carry the same non-empty
    key; a second one is a Conflict."""

    tenant: str
    kind: str
    arguments: Json
    subject: str = ""
    exclusive: str = ""


class Progress(Struct, frozen=True):
    """done and total count the job's own units ("documents"); total and eta (seconds) are None until they are known."""

    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""
    eta: float | None = None


class Job(Struct, frozen=True):
    """One row. Times are seconds since the epoch. error: a sentence for its owner, "" unless failed.

    attempt counts the processes that worked on it; result is what its code returned.
    """

    id: str
    tenant: str
    kind: str
    subject: str
    arguments: Json
    status: JobStatus
    attempt: int
    created: float
    started: float | None = None
    ended: float | None = None
    cancelling: bool = False
    progress: Progress = Progress()
    result: Json | None = None
    error: str = ""


class JobEvent(Struct, frozen=True):
    """A line of a job's log. number: ascending within the job."""

    number: int
    time: float
    level: Level
    message: str


class JobCancelled(Exception):
    """Somebody asked the job to stop; its code lets this pass."""


class JobLost(Exception):
    """The lease went to another process: nothing that this one writes counts any more. Its code lets this pass."""


class Running(Protocol):
    """What the code of a running job is given. All calls block and are quick; safe in threads."""

    @property
    def job(self) -> Job: ...

    def check(self) -> None:
        """Call often, it is cheap. Raises JobCancelled, JobLost."""
        ...

    def report(self, progress: Progress) -> None:
        """How far it is; written a few times a second at most. The rate so far gives eta when it is left out."""
        ...

    def log(self, message: str, level: Level = "info") -> None: ...

    def load(self) -> Json | None:
        """What an earlier attempt `save`d, None for the first."""
        ...

    def save(self, state: Json) -> None:
        """Remembered for the next attempt, committed when this returns. Raises JobLost."""
        ...

    def writing(self) -> AbstractContextManager[object]:
        """A write transaction (yields the SQLAlchemy Connection) in which the lease is still this process's own:
        what a stale process writes is refused. Raises JobLost at its beginning, JobCancelled never."""
        ...
