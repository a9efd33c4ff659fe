"""What a training measured, as the CSV files that Bedrock writes into the output bucket.

The layout: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-analyze.html
"""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import select

from craton.buckets.buckets import Buckets
from craton.customizing.following import EPOCH, REWARD, TRAINING, VALIDATION, curve_spans
from craton.customizing.values import Customization
from craton.store.database import Database
from craton.training.tracking.tables import points

TRAINING_FILE = "training_artifacts/step_wise_training_metrics.csv"
VALIDATION_FILE = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"
PERPLEXITY = "perplexity"
_BLOCK = 1 << 16  # characters
_BESIDE = {"preference-tuning": "reward_margin", "reward-tuning": "mean_reward"}
"""What stands beside the loss of a training instead of the perplexity, which is one of texts: by method."""


class _Row(NamedTuple):
    """beside: what was told with it, where that stands in the last column."""

    step: int
    epoch: int
    value: float | None
    beside: float | None


class Curves:
    """Writes them; a second time the same again."""

    def __init__(self, database: Database, buckets: Buckets) -> None:
        self._database, self._buckets = database, buckets

    async def write(self, one: Customization) -> None:
        """Raises NotFound when the bucket is gone."""
        folder = f"{one.prefix}model-customization-job-{one.id}/"
        await self._write(one, TRAINING, _BESIDE.get(one.method, PERPLEXITY), folder + TRAINING_FILE)
        for curve in await asyncio.to_thread(self._validated, one):
            beside = PERPLEXITY if one.method not in _BESIDE else ""
            await self._write(one, curve, beside, folder + VALIDATION_FILE)

    async def _write(self, one: Customization, curve: str, beside: str, key: str) -> None:
        async def blocks() -> AsyncIterator[bytes]:
            for text in self._lines(one, curve, beside):
                yield text.encode()

        await self._buckets.write(one.tenant, one.bucket, key, blocks(), "text/csv")

    def _validated(self, one: Customization) -> list[str]:
        """What was measured on what was held out: one curve, or none."""
        with self._database.read() as connection:
            return [name for name in curve_spans(connection, one.tenant, one.job) if name in (VALIDATION, REWARD)]

    def _lines(self, one: Customization, curve: str, beside: str) -> Iterator[str]:
        """beside: the last column, computed or told, "" for none."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["step_number", "epoch_number", curve, *([beside] if beside else [])])
        for row in self._rows(one, curve, beside):
            last = [] if not beside else [_perplexity(row.value) if beside == PERPLEXITY else _figure(row.beside)]
            writer.writerow([row.step, row.epoch, _figure(row.value), *last])
            if buffer.tell() > _BLOCK:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    def _rows(self, one: Customization, curve: str, beside: str) -> Iterator[_Row]:
        """A training step is numbered by the steps before it, and so is a validation: 0 is what the base says. An
        attempt that was killed may have told a step that the next one tells again: what was told last counts."""
        mine = (points.c.tenant == one.tenant) & (points.c.job == one.job)
        curves = mine & points.c.name.in_((curve, beside, EPOCH)) & points.c.step.is_not(None)
        query = select(points.c.step, points.c.name, points.c.value).where(curves)
        query = query.order_by(points.c.step, points.c.number)
        before, epoch = 1 if curve == TRAINING else 0, 0
        with self._database.read() as connection:
            if curve != TRAINING:
                base = select(points.c.value).where(mine, points.c.name == f"{curve}_before")
                if (value := connection.scalar(base.order_by(points.c.number.desc()).limit(1))) is not None:
                    yield _Row(0, 0, value, None)
            told = connection.execution_options(yield_per=1000).execute(query)
            for step, rows in groupby(told, key=lambda row: row.step):
                values = {row.name: row.value for row in rows}
                if EPOCH in values:  # the sixth of six updates ends epoch 0
                    epoch = max(math.ceil((values[EPOCH] or 0) - 1e-6) - 1, 0)
                if curve in values:
                    yield _Row(step - before, epoch, values[curve], values.get(beside))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _perplexity(loss: float | None) -> str:
    return "" if loss is None else _figure(math.exp(min(loss, 700.0)))  # exp(710) overflows
