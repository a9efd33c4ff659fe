"""The compiled graph: token ids in, unit vectors or scores out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import openvino as ov
from msgspec import Meta, Struct

from craton.core.errors import Unsupported
from craton.engines.bert.arrays import Array, Ids

_MAX_STREAMS = 8


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set. threads: cores to compute with, None for all that this process may use.

    streams: batches computed at once, None for one a thread (at most 8). precision: "auto" is bf16 where the CPU
    multiplies it natively, else f32.
    """

    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    streams: Annotated[int, Meta(ge=1, le=64)] | None = None
    precision: Literal["auto", "bf16", "f32"] = "auto"


class Encoder:
    """One compiled model. `run` may be called from several threads at once, each with its own stream number."""

    def __init__(self, graph: ov.Model, options: Options, *, normal: bool = True) -> None:
        """normal: whether each row is made a unit vector.

        Raises Unsupported when bf16 is asked of a CPU that lacks it."""
        self._normal, self._typed = normal, len(graph.inputs) > 2
        core = ov.Core()
        self.precision = _precision(core, options)
        threads = options.threads or _cores()
        self.streams = options.streams or min(threads, _MAX_STREAMS)
        compiled = core.compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": self.precision,
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": self.streams,
                "ENABLE_CPU_PINNING": False,  # other workers share the cores
            },
        )
        self._requests = [compiled.create_infer_request() for _ in range(self.streams)]

    def run(self, stream: int, rows: Sequence[Ids]) -> Array:
        """A row of numbers for each. The complement of an id (~id) is a token of the type 1.

        Blocks, without the GIL while it computes.
        """
        lengths = np.array([[len(row)] for row in rows], dtype=np.int32)
        ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int32)
        for padded, row in zip(ids, rows, strict=True):
            padded[: len(row)] = row
        request = self._requests[stream]
        types = (ids < 0).astype(np.int32)
        request.infer([np.where(ids < 0, ~ids, ids), lengths, types] if self._typed else [ids, lengths])
        answers = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        return unit(answers) if self._normal else answers


def unit(vectors: Array) -> Array:
    """Each row divided by its Euclidean length; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Array = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
    return scaled


def _precision(core: ov.Core, options: Options) -> str:
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if options.precision == "auto":
        return "bf16" if native else "f32"
    if options.precision == "bf16" and not native:
        raise Unsupported("bf16 on this CPU", "Set the precision to f32 or auto.")
    return options.precision


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
