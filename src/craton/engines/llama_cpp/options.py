"""What the operator may set for a llama.cpp model, and what follows when it is left open."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from craton.core.errors import Damaged, InvalidRequest
from craton.engines.protocol import EngineSpec

DEFAULT_CONTEXT = 8_192
_STALL_SECONDS = 0.2
_FLOPS_PER_THREAD = 40e9
"""About what one core of a current server CPU does with llama.cpp's quantised kernels (measured: 38-45e9 with AVX2)."""


class Given(Struct, frozen=True, forbid_unknown_fields=True):
    """As the operator wrote it. context: tokens of one request; parallel: requests at once; batch: tokens a step."""

    context: Annotated[int, Meta(ge=64, le=2**24)] | None = None
    parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    batch_threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    batch: Annotated[int, Meta(ge=8, le=8192)] | None = None


class Options(Struct, frozen=True):
    """Settled. threads compute one stream, batch_threads prompts and several streams together.

    llama.cpp's threads wait for each other by spinning. Measured on two cores, tokens a second, with 1 | 1 + 2 for
    batches | 2 threads: one stream 130 | 138 | 165 alone and 140 | 130 | 60 beside a busy process; eight streams
    145 | 223 | 262 alone, 124 | 215 | 200 beside a niced one, 146 | 83 | 55 beside one that is not. So a lone stream
    leaves a core free; batches do so where there are more than two, since half of two would be too dear.
    """

    path: str
    context: int
    parallel: int
    threads: int
    batch_threads: int
    batch: int


def settle(spec: EngineSpec, cores: int | None = None) -> Options:
    """Raises InvalidRequest for an option that does not exist or is out of bounds, Damaged without a GGUF file."""
    try:
        given = msgspec.convert(spec.options, Given)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "options") from error
    paths = [path for name, path in sorted(spec.files.items()) if name.lower().endswith(".gguf")]
    if not paths:
        raise Damaged(spec.model, "it has no GGUF file")
    cores = cores or _cores()
    threads = given.threads or max(1, cores - 1)
    batch_threads = given.batch_threads or given.threads or (cores if cores <= 2 else cores - 1)
    trained = spec.info.context_length or DEFAULT_CONTEXT
    return Options(
        path=paths[0],
        context=min(trained, given.context or DEFAULT_CONTEXT),
        parallel=given.parallel,
        threads=threads,
        batch_threads=batch_threads,
        batch=given.batch or _batch(spec.info.parameters, batch_threads, given.parallel),
    )


def _batch(parameters: int | None, threads: int, parallel: int) -> int:
    """Prompt tokens of one step. A step cannot be interrupted and holds up every other stream, so it should take
    no longer than a fifth of a second; a token costs about two operations for each parameter."""
    fitting = int(_STALL_SECONDS * _FLOPS_PER_THREAD * threads / (2 * (parameters or 1_000_000_000)))
    return max(16, 2 * parallel, min(512, round(fitting / 16) * 16))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
