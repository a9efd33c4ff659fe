"""The team of a run that nobody helps."""

from __future__ import annotations

from craton.training.protocol import Meeting, Score


class Alone:
    """See `training.protocol.Team`."""

    leads = True

    def spread(self, score: Score) -> Score:
        return score

    def meet(self) -> Meeting | None:
        return None

    def close(self) -> None: ...
