"""A bound on what a worker may take once its engine is loaded: a chat template comes from strangers, and one that makes
much out of little must not take the machine's memory."""

from __future__ import annotations

from craton.engines.protocol import EngineSpec

HEADROOM = 1024 * 1024 * 1024  # bytes
_STACK = 8 * 1024 * 1024  # bytes of a thread's stack, which count as its process's data
_RENDERS_TEMPLATES = frozenset({"llama_cpp", "llama_cpp_counter"})


def headroom(spec: EngineSpec) -> int | None:
    """Bytes that the worker may take beyond what it has now; None for engines that run nothing of strangers'.

    llama.cpp allocates its caches and buffers when it loads; what a request adds is small. The larger of 1 GiB and the
    weights' size leaves room for what some models keep beside a prompt (checkpoints of a sliding window).
    """
    if spec.engine not in _RENDERS_TEMPLATES:
        return None
    parallel = spec.options.get("parallel")
    threads = parallel if isinstance(parallel, int) else 4
    return max(HEADROOM, spec.info.size_bytes) + threads * _STACK
