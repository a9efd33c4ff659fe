"""On what a tuning computes, and in which numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from craton.training.specification.tuning import TextFit

if TYPE_CHECKING:
    import torch


def device_of() -> torch.device:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settled(fit: TextFit) -> TextFit:
    """With "auto" decided: bfloat16 where the hardware multiplies it (a CPU that only stores it is slower with it)."""
    import torch

    if fit.precision != "auto":
        return fit
    if torch.cuda.is_available():
        half = torch.cuda.is_bf16_supported()
    else:
        half = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return replace(fit, precision="bfloat16" if half else "float32")
