"""Vectors as rows keep them (float16: half the space, no measurable loss of order) and as indexes take them (float32).

numpy is loaded at the first use: a server that indexes nothing does without it.
"""

from __future__ import annotations

from collections.abc import Sequence


def to_rows(vectors: bytes, dimensions: int) -> list[bytes]:
    """float32, row-major -> one float16 row for each vector. Little-endian both."""
    import numpy as np

    halves = np.frombuffer(vectors, dtype="<f4").reshape(-1, dimensions).astype("<f2")
    return [row.tobytes() for row in halves]


def from_rows(rows: Sequence[bytes]) -> list[bytes]:
    """float16 rows -> float32 of unit length. Little-endian both."""
    import numpy as np

    if not rows:
        return []
    vectors = np.frombuffer(b"".join(rows), dtype="<f2").astype(np.float32).reshape(len(rows), -1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return [row.tobytes() for row in vectors.astype("<f4")]
