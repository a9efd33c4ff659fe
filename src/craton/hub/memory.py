"""Will it fit? An estimate of the memory that a model takes, before it is loaded."""

from __future__ import annotations

from msgspec import Struct

from craton.core.model import ModelInfo

KV_BYTES = 2  # an f16
PROCESS = 80 * 1024 * 1024  # bytes: a worker with its libraries, before it loads weights
PREDICTOR_PROCESS = 220 * 1024 * 1024  # bytes: a worker with pandas and scikit-learn
TORCH = 180 * 1024 * 1024  # bytes more, with torch in it
PREDICTOR_GROWTH = 4  # trees are packed on disk
_IN_TORCH = frozenset({"encoder", "network", "policy"})
BATCH_TOKENS = 512  # that are computed at once


class MemoryNeed(Struct, frozen=True):
    """Bytes."""

    weights: int
    kv_cache: int
    overhead: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.overhead


def memory_needed(info: ModelInfo, context: int, parallel: int = 1) -> MemoryNeed:
    """context: tokens of one request; parallel: requests at once.

    weights   the files' size (they are mapped or read whole)
    kv_cache  2 (K and V) x layers x kv_heads x head_dimensions x context x parallel x 2 bytes. Zero for an encoder.
              For models with sliding windows or layers without attention this is an upper bound.
    overhead  the process, one batch of 512 tokens (about 12 float32 vectors of the model's width for each; for an
              encoder also a row of scores for each head) and a row of float32 logits for each request

    Measured with llama.cpp and SmolLM2-135M, prompts that fill the context: 209 MiB at 2,048 tokens (estimate 232),
    327 at 8,192 (estimate 367).
    """
    if info.engine == "predictor":
        process = PREDICTOR_PROCESS + (TORCH if info.format in _IN_TORCH else 0)
        return MemoryNeed(PREDICTOR_GROWTH * info.size_bytes, 0, process)
    details = info.details or {}
    width, vocabulary = details.get("embedding_length") or 0, details.get("vocabulary") or 0
    heads = info.kv_heads or 0
    if info.engine == "bert":
        activations = BATCH_TOKENS * parallel * (12 * width + heads * context) * 4
        return MemoryNeed(info.size_bytes, 0, PROCESS + activations)
    vectors = 2 * (info.layers or 0) * heads * (info.head_dimensions or 0)
    batch = (BATCH_TOKENS * 12 * width + parallel * vocabulary) * 4
    return MemoryNeed(info.size_bytes, vectors * context * parallel * KV_BYTES, PROCESS + batch)
