"""A bound on what a worker may take once its engine is loaded: a chat template comes from strangers, and one that makes
much out of little must not take the machine's memory."""

from __future__ import annotations

import sys
from pathlib import Path

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


def bound_memory(extra: int) -> None:
    """So many more bytes of writable private memory than now (RLIMIT_DATA: mapped weights do not count).

    Allocating more fails: in Python with a MemoryError, in native code as it will, perhaps with the end of the process.
    Linux only.
    """
    if sys.platform != "linux":
        return
    import resource

    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmData:"):
            limit = int(line.split()[1]) * 1024 + extra
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
