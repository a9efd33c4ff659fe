"""What is answered so far: in the spool, and counted."""

from __future__ import annotations

from msgspec.structs import replace

from craton.batch.answering import Answered
from craton.batch.planning import Plan, input_of
from craton.batch.spool import Spool
from craton.batch.values import Counts


class Tally:
    """Blocking, but quick. Its making reads the spool through."""

    def __init__(self, plan: Plan, spool: Spool) -> None:
        self.spool = spool
        self._starts = plan.starts
        self._missing = [one.records for one in plan.inputs]
        self.counts = Counts(total=self._starts[-1])
        for kept in spool.open():
            self._count(kept.number, kept.ok, kept.input_tokens, kept.output_tokens)

    def has(self, number: int) -> bool:
        return self.spool.has(number)

    def add(self, number: int, answered: Answered) -> None:
        self.spool.add(number, answered)
        self._count(number, answered.ok, answered.input_tokens, answered.output_tokens)

    def whole(self, place: int) -> bool:
        """Whether all records of this input are answered."""
        return self._missing[place] == 0

    def span(self, place: int) -> tuple[int, int]:
        """The numbers of its records; the second one is exclusive."""
        return self._starts[place], self._starts[place + 1]

    def _count(self, number: int, ok: bool, read: int, written: int) -> None:
        self._missing[input_of(self._starts, number)] -= 1
        counts = self.counts
        self.counts = replace(
            counts,
            succeeded=counts.succeeded + ok,
            failed=counts.failed + (not ok),
            input_tokens=counts.input_tokens + read,
            output_tokens=counts.output_tokens + written,
        )
