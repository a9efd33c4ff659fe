"""What is kept of models that were brought in, and of copies: frozen values, whatever dialect asked for them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from craton.core.chat import Json

Status = Literal["in_progress", "completed", "failed"]


class ImportJob(Struct, frozen=True):
    """One import. job: the queue's. output: the name of the model that it makes; model: its id once it is there.
    source: "s3://bucket/folder/" or "hf://namespace/name@revision". extra: what its dialect keeps beside."""

    id: str
    tenant: str
    name: str
    job: str
    output: str
    source: str
    status: Status
    created: float
    updated: float
    ended: float | None = None
    failure: str = ""
    model: str = ""
    tags: dict[str, str] = {}
    extra: Json = {}


class ImportedModel(Struct, frozen=True):
    """A repository of the tenant's at one revision. origin: the id of its import job, called `origin_name`.
    instruct: whether it came with a chat template of its own. note: why it does not run on llama.cpp, or ""."""

    id: str
    tenant: str
    name: str
    created: float
    repo: str
    revision: str
    architecture: str
    instruct: bool
    source: str
    origin: str
    origin_name: str
    note: str = ""
    extra: Json = {}


class CopyJob(Struct, frozen=True):
    """A custom model under a second name. source and model: ids of custom models, the original and the copy."""

    id: str
    tenant: str
    name: str
    source: str
    source_name: str
    status: Status
    created: float
    model: str = ""
    tags: dict[str, str] = {}
    extra: Json = {}
