"""The code of a quantising job: a model's GGUF file with fewer bits becomes a repository, with what that costs.

Killed anywhere it begins again: nothing is seen of it before its one commit, and the same bytes make no second one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from craton.conversion.orders import QuantiseOrder, check_order, gguf_of
from craton.conversion.quantising.quantising import Order, quantise
from craton.core.chat import Json
from craton.core.job import Progress, Running
from craton.hub.catalog import Catalog
from craton.hub.importing import Importer, from_path
from craton.hub.models import Models
from craton.hub.repositories import Hub


@dataclass(frozen=True, slots=True)
class QuantiseParts:
    """locate: a blob's digest -> its file."""

    hub: Hub
    catalog: Catalog
    locate: Callable[[str], Path]


async def quantise_model(running: Running, arguments: Json, parts: QuantiseParts) -> Json:
    """arguments: a `QuantiseOrder`. The result: the model, its revision, and the report."""
    order = msgspec.convert(arguments, QuantiseOrder)
    return await asyncio.to_thread(_work, running, order, parts)


def _work(running: Running, order: QuantiseOrder, parts: QuantiseParts) -> Json:
    repo, tenant = check_order(order), running.job.tenant
    found = parts.catalog.resolve(tenant, order.model)
    source = parts.locate(gguf_of(found, order.model))

    def told(done: int, total: int) -> None:
        running.check()
        running.report(Progress(done, total, "bytes", "rewriting"))

    with tempfile.TemporaryDirectory(prefix="craton-quantise-") as place:
        target = Path(place) / f"model-{order.to.lower()}.gguf"
        template = found.info.chat_template or ""
        wanted = Order(order.to, order.text, order.tokens, order.cases, template)
        running.report(Progress(message="measuring"))
        report = quantise(source, target, wanted, told)
        running.check()
        importer = Importer(Models(parts.hub), tenant)
        card = {"base_model": found.info.id, "base_model_relation": "quantized"}
        message = f"{found.info.id} as {order.to.upper()}"
        done = importer.put(repo, [from_path(target.name, target)], message, card)
    return {"model": done.info.id, "revision": done.info.revision, "base": found.info.id, **msgspec.to_builtins(report)}
