"""Trained models beside what is said to them: their signatures, what they learn, how far live rows have drifted."""

from __future__ import annotations

from craton.core.access import Caller
from craton.core.errors import Forbidden, InvalidRequest, Unsupported
from craton.core.model import ModelInfo
from craton.core.predicting import Signature
from craton.engines.protocol import Engine
from craton.serve.drifting import DriftBook
from craton.serve.learning import LearningEngine, Lines, Snapshot
from craton.serve.predicting import Signatures
from craton.serve.snapshots import BRANCH
from craton.serve.target import Target


class Predictors:
    def __init__(self, lines: Lines, drift: DriftBook) -> None:
        self._lines, self.drift = lines, drift
        self._signatures = Signatures()

    def signature(self, info: ModelInfo) -> Signature:
        """Raises Unsupported for a model that is no predictor."""
        if info.engine != "predictor":
            reason = (info.details or {}).get("refused")
            hint = f"Craton cannot run it: {reason}" if reason else f"This model can do: {' and '.join(info.verbs)}."
            raise Unsupported(f"Asking the model {info.id!r} about rows", hint)
        return self._signatures.of(info)

    async def living(self, target: Target, name: str) -> Target:
        """A model that learns is one process, whatever its snapshots; one that is asked for by its revision is not."""
        if "learn" in target.info.verbs and _names_the_newest(name):
            return await self._lines.live(target)
        return target

    def refuse_to_teach(self, tenant: str, target: Target, name: str) -> None:
        """Raises Forbidden for another tenant's model, InvalidRequest for a revision that stays as it is."""
        if target.owner != tenant:
            raise Forbidden(f"teach {target.info.id!r}: it belongs to another tenant")
        if not _names_the_newest(name):
            raise InvalidRequest("a revision stays as it is: leave the @revision out", "model")

    async def save(self, engine: Engine, caller: Caller) -> Snapshot:
        if not isinstance(engine, LearningEngine):
            raise Unsupported("A snapshot of this model")
        return await engine.save(caller.key_name or caller.key_id)


def _names_the_newest(name: str) -> bool:
    return name.partition("@")[2] in {"", BRANCH}
