"""Plain arrays in one safetensors file, read with the shapes they must have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import Damaged

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path, dimensions: Mapping[str, int]) -> dict[str, Array]:
    """dimensions: how many each array has; those that begin the same in all of them are the file's rows.

    Raises Damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: dict[str, Array] = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise Damaged(path.name, "it is not a safetensors file") from error
    for name, count in dimensions.items():
        if name not in found or found[name].ndim != count:
            raise Damaged(path.name, f"the array {name!r} is missing, or has another shape")
    return found
