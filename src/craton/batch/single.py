"""One invocation that nobody waits for: its answer becomes an object of the bucket."""

from __future__ import annotations

from craton.batch.answering import Asked, Record
from craton.batch.asking import persist, tries_before
from craton.batch.ledger import Ledger
from craton.batch.publishing import JSON, write
from craton.batch.values import Counts
from craton.buckets.buckets import Buckets


async def answer_one(ledger: Ledger, asked: Asked, buckets: Buckets) -> Counts:
    """Raises CratonError when there is no answer."""
    await ledger.tell("running", Counts(total=1))
    ledger.check()
    await asked.start()
    record = Record(ledger.batch.id, 0, 0, ledger.body(), tries_before(ledger.attempt))
    answered = await persist(asked, record)
    await write(buckets, ledger.tenant, ledger.batch.outputs, asked.output(""), answered.line, JSON)
    counts = Counts(1, 1, 0, answered.input_tokens, answered.output_tokens)
    await ledger.tell("completed", counts)
    return counts
