"""What each model was asked about, counted in the bins of its training rows: since the server started, in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from operator import add
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from craton.core.errors import CratonError, Unsupported
from craton.engines.predictor.drift import LITTLE, MUCH, Bins, Drift, compared, read_reference
from craton.engines.predictor.manifest import NAME, read_manifest
from craton.serve.target import Target

MOST_MODELS = 1000  # that are counted at once; those counted longest ago go first
_RANKS = ("none", "some", "much")


class DriftReport(Struct, frozen=True):
    """Of one revision. since: seconds since the epoch; None while no row was seen. verdict: the worst of the fields."""

    model: str
    revision: str
    rows: int
    since: float | None
    verdict: str
    thresholds: dict[str, float]
    fields: dict[str, Drift]


class FieldDrift(NamedTuple):
    model: str
    field: str
    psi: float


class _Counted:
    def __init__(self, target: Target, since: float) -> None:
        self.target, self.since = target, since
        self.counts: dict[str, list[int]] = {}
        self.reference: Mapping[str, Bins] | None = None

    def add(self, counted: Mapping[str, list[int]]) -> None:
        for field, counts in counted.items():
            known = self.counts.get(field)
            if known is None or len(known) != len(counts):
                self.counts[field] = list(counts)
            else:
                self.counts[field] = list(map(add, known, counts))


class DriftBook:
    """blob_path: where the bytes with this digest lie."""

    def __init__(self, blob_path: Callable[[str], Path], clock: Callable[[], float] = time.time) -> None:
        self._blob_path, self._clock = blob_path, clock
        self._counted: dict[str, _Counted] = {}

    def add(self, target: Target, counted: Mapping[str, list[int]]) -> None:
        if not counted:
            return
        known = self._counted.pop(target.key, None) or _Counted(target, self._clock())
        self._counted[target.key] = known  # the newest last
        known.add(counted)
        while len(self._counted) > MOST_MODELS:
            del self._counted[next(iter(self._counted))]

    def report(self, target: Target) -> DriftReport:
        """Blocks: reads the model's description. Raises Unsupported for a model that keeps no reference."""
        known = self._counted.get(target.key)
        reference = self._reference(target, known)
        if not reference:
            raise Unsupported(
                f"Drift of {target.info.id!r}", "It keeps no counts of its training rows: train it with Craton."
            )
        counts = known.counts if known is not None else {}
        fields = {name: compared(bins, counts.get(name, [0] * len(bins.counts))) for name, bins in reference.items()}
        return DriftReport(
            model=target.info.id,
            revision=target.info.revision,
            rows=max((drift.rows for drift in fields.values()), default=0),
            since=known.since if known is not None else None,
            verdict=max((drift.verdict for drift in fields.values()), key=_RANKS.index, default="none"),
            thresholds={"some": LITTLE, "much": MUCH},
            fields=fields,
        )

    def all(self) -> Iterator[FieldDrift]:
        """Of every model that was asked since the server started, for metrics. Blocks at a model's first time."""
        for known in list(self._counted.values()):
            for name, bins in self._reference(known.target, known).items():
                counts = known.counts.get(name)
                if counts is None or len(counts) != len(bins.counts):
                    continue
                psi = compared(bins, counts).psi
                if psi is not None:
                    yield FieldDrift(known.target.info.id, name, psi)

    def _reference(self, target: Target, known: _Counted | None) -> Mapping[str, Bins]:
        if known is not None and known.reference is not None:
            return known.reference
        try:
            manifest = read_manifest(self._blob_path(target.files[NAME]))
        except (CratonError, KeyError, OSError):
            return {}
        reference = read_reference(manifest.parameters)
        if known is not None:
            known.reference = reference
        return reference
