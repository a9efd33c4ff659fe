"""A head on an encoder, or the encoder itself tuned on pairs."""

from __future__ import annotations

from craton.core.errors import InvalidRequest
from craton.training.methods.transfer.contrastive import train_pairs
from craton.training.methods.transfer.heads import train_head
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Transfer
from craton.training.specification.suggesting import unknown

KINDS = {"encoder": train_head, "contrastive": train_pairs}


def train(spec: Transfer, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest, NotFound for a base that is not here, Damaged and Unsupported for one that cannot be
    read."""
    if tables is None:
        raise InvalidRequest("transfer learning needs rows", "data")
    kind = KINDS.get(spec.model.use)
    if kind is None:
        raise InvalidRequest(unknown("way of transfer", spec.model.use, KINDS), "model.use")
    return kind(spec, tables, run)
