"""Which layers of an encoder learn, and when.

Gradual unfreezing, and rates that are lower the deeper a layer lies: Howard and Ruder, "Universal language model
fine-tuning for text classification", 2018 (arXiv 1801.06146). Left out: their slanted triangular rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

    from craton.engines.predictor.nets.encoder import Encoder

DEEPER = 2.6  # times lower the rate of the next layer below, as in the paper


class Thawing:
    """The optimizer's groups by epoch, for the loop: the head, the layers from the top down, the embeddings."""

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module | None,
        tune: Literal["frozen", "gradual", "full"],
        head_rate: float,
        encoder_rate: float,
    ) -> None:
        self._tune, self._head_rate, self._rate = tune, head_rate, encoder_rate
        layers = [list(layer.parameters()) for layer in reversed(encoder.layers)]
        taken = {id(one) for layer in layers for one in layer}
        rest = [one for one in encoder.parameters() if id(one) not in taken]
        self._parts = [*layers, rest]
        self._head = [] if head is None else list(head.parameters())

    def __call__(self, epoch: int) -> list[dict[str, Any]]:
        """Thaws what learns in this epoch; what is frozen has no gradients and costs none."""
        first = 0 if self._head else 1
        thawed = {"frozen": 0, "gradual": epoch + first, "full": len(self._parts)}[self._tune]
        groups = [{"params": self._head, "lr": self._head_rate}] if self._head else []
        for place, parameters in enumerate(self._parts):
            for one in parameters:
                one.requires_grad_(place < thawed)
            rate = self._rate / (DEEPER**place if self._tune == "gradual" else 1.0)
            groups.append({"params": parameters, "lr": rate})
        return groups
