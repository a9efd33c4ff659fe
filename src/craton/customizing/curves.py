"""What a training measured, as the CSV files that Bedrock writes into the output bucket.

The layout: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-analyze.html
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import AsyncIterator, Iterator

from sqlalchemy import select

from craton.buckets.buckets import Buckets
from craton.customizing.following import EPOCH, TRAINING, VALIDATION
from craton.customizing.values import Customization
from craton.store.database import Database
from craton.training.tracking.tables import points

TRAINING_FILE = "training_artifacts/step_wise_training_metrics.csv"
VALIDATION_FILE = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"
_BLOCK = 1 << 16  # characters


class Curves:
    """Writes them; a second time the same again."""

    def __init__(self, database: Database, buckets: Buckets) -> None:
        self._database, self._buckets = database, buckets

    async def write(self, one: Customization) -> None:
        """Raises NotFound when the bucket is gone."""
        folder = f"{one.prefix}model-customization-job-{one.id}/"
        await self._write(one, TRAINING, folder + TRAINING_FILE)
        if one.losses.validation is not None:
            await self._write(one, VALIDATION, folder + VALIDATION_FILE)

    async def _write(self, one: Customization, curve: str, key: str) -> None:
        async def blocks() -> AsyncIterator[bytes]:
            for text in self._lines(one, curve):
                yield text.encode()

        await self._buckets.write(one.tenant, one.bucket, key, blocks(), "text/csv")

    def _lines(self, one: Customization, curve: str) -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["step_number", "epoch_number", curve, "perplexity"])
        for step, epoch, loss in self._rows(one, curve):
            perplexity = "" if loss is None else f"{math.exp(min(loss, 700.0)):.6g}"  # exp(710) overflows
            writer.writerow([step, epoch, "" if loss is None else f"{loss:.6g}", perplexity])
            if buffer.tell() > _BLOCK:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    def _rows(self, one: Customization, curve: str) -> Iterator[tuple[int, int, float | None]]:
        """Step, epoch (from 0), loss. A training step is numbered by the steps before it, and so is a validation: 0 is
        what the base says. An attempt that was killed may have told a step that the next one tells again: what was told
        last counts."""
        mine = (points.c.tenant == one.tenant) & (points.c.job == one.job)
        curves = mine & points.c.name.in_((curve, EPOCH)) & points.c.step.is_not(None)
        query = select(points.c.step, points.c.name, points.c.value).where(curves)
        query = query.order_by(points.c.step, points.c.number)
        before, epoch = 1 if curve == TRAINING else 0, 0
        told: tuple[int, float | None] | None = None
        with self._database.read() as connection:
            if curve == VALIDATION:
                base = select(points.c.value).where(mine, points.c.name == f"{VALIDATION}_before")
                if (loss := connection.scalar(base.order_by(points.c.number.desc()).limit(1))) is not None:
                    yield 0, 0, loss
            for row in connection.execution_options(yield_per=1000).execute(query):
                if told is not None and row.step != told[0]:
                    yield told[0] - before, epoch, told[1]
                    told = None
                if row.name == EPOCH:  # the sixth of six updates ends epoch 0
                    epoch = max(math.ceil((row.value or 0) - 1e-6) - 1, 0)
                else:
                    told = (row.step, row.value)
        if told is not None:
            yield told[0] - before, epoch, told[1]
