"""What is kept of foundation models that somebody made his own: frozen values, whatever dialect asked for them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from craton.core.chat import Json

JobStatus = Literal["in_progress", "stopping", "stopped", "completed", "failed"]
PhaseStatus = Literal["not_started", "in_progress", "stopping", "stopped", "completed", "failed"]
Status = Literal["creating", "active", "failed"]
UpdateStatus = Literal["updating", "completed", "failed"]


class Phase(Struct, frozen=True):
    """A part of a job. started and updated: seconds since the epoch, None before it begins."""

    status: PhaseStatus = "not_started"
    started: float | None = None
    updated: float | None = None


class Phases(Struct, frozen=True):
    processing: Phase = Phase()
    training: Phase = Phase()
    validation: Phase = Phase()


class Losses(Struct, frozen=True, omit_defaults=True):
    """The last ones that were measured. validation: None where nothing was set apart for it."""

    training: float | None = None
    validation: float | None = None


class Customization(Struct, frozen=True):
    """One customization job. job: the queue's. method: of the specification ("fine-tuning"). output: the name of the
    model that it makes; model: its id once it is there. warnings: what the training says of itself.

    trained: what the training left, once it is in the hub: {"model", "revision", "metrics"}.
    bucket and prefix: where its curves go. extra: what its dialect keeps beside.
    """

    id: str
    tenant: str
    name: str
    job: str
    method: str
    base: str
    output: str
    status: JobStatus
    created: float
    updated: float
    bucket: str = ""
    prefix: str = ""
    ended_at: float | None = None
    failure: str = ""
    model: str = ""
    phases: Phases = Phases()
    losses: Losses = Losses()
    trained: Json | None = None
    tags: dict[str, str] = {}
    extra: Json = {}

    @property
    def ended(self) -> bool:
        """Whether its own row says how it ended, whatever becomes of the queue's."""
        return self.ended_at is not None


class CustomModel(Struct, frozen=True):
    """A repository of the tenant's at one revision. customization: the id of the job that made it, "" for what was
    brought in by `job`, a row of the queue. source: where that is brought from."""

    id: str
    tenant: str
    name: str
    status: Status
    created: float
    repo: str = ""
    revision: str = ""
    base: str = ""
    method: str = ""
    customization: str = ""
    job: str = ""
    source: str = ""
    failure: str = ""
    losses: Losses = Losses()
    extra: Json = {}


class Update(Struct, frozen=True):
    model: str
    status: UpdateStatus


class Deployment(Struct, frozen=True):
    """A name under which a custom model answers. model: its id. update: the last one that was asked for; while the
    status is "updating", `model` answers still."""

    id: str
    tenant: str
    name: str
    model: str
    status: Literal["creating", "active", "updating", "failed"]
    created: float
    updated: float
    description: str = ""
    failure: str = ""
    update: Update | None = None

    @property
    def coming(self) -> str:
        """The model that is to answer first."""
        return self.update.model if self.status == "updating" and self.update is not None else self.model


class Throughput(Struct, frozen=True):
    """A model that stays loaded. model: a custom model's id, or "" and then `base` is a foundation model's name.

    units: times the requests that its engine runs at once. desired and desired_base: what an update is loading beside
    what answers still, "" where nothing changes.
    """

    id: str
    tenant: str
    name: str
    model: str
    base: str
    units: int
    status: Literal["creating", "active", "updating", "failed"]
    created: float
    updated: float
    desired: str = ""
    desired_base: str = ""
    failure: str = ""
    extra: Json = {}

    @property
    def changing(self) -> bool:
        return bool(self.desired or self.desired_base)
