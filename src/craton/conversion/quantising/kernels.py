"""llama.cpp's own quantisers. xllamacpp has no words for them, but its library exports ggml's C function."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from craton.core.errors import Unsupported

Array = np.ndarray[Any, np.dtype[Any]]
_FLOATS = ctypes.POINTER(ctypes.c_float)


def quantised(rows: Array, kind: str) -> Array:
    """rows: float32, in rows. The bytes of each row."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    number = GGMLQuantizationType[kind]
    if kind == "F32":
        return np.ascontiguousarray(rows, np.float32).view(np.uint8)
    if kind == "F16":
        return rows.astype(np.float16).view(np.uint8)
    block, size = GGML_QUANT_SIZES[number]
    source = np.ascontiguousarray(rows, np.float32)
    made = np.empty((source.shape[0], source.shape[1] // block * size), np.uint8)
    pointer = source.ctypes.data_as(_FLOATS)
    target = made.ctypes.data_as(ctypes.c_void_p)
    written = _library().ggml_quantize_chunk(int(number), pointer, target, 0, *source.shape, None)
    if written != made.nbytes:
        raise RuntimeError(f"ggml wrote {written} of {made.nbytes} bytes")
    return made


@cache
def _library() -> ctypes.CDLL:
    import xllamacpp.xllamacpp

    library = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    if not hasattr(library, "ggml_quantize_chunk"):
        raise Unsupported("Quantising with this build of xllamacpp", "It exports no ggml_quantize_chunk.")
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = (
        *(ctypes.c_int, _FLOATS, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, _FLOATS),
    )
    return library
