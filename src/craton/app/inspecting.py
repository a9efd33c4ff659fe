"""Looking inside models, put together."""

from __future__ import annotations

from craton.app.fitting import available_memory
from craton.app.models import RunningModels
from craton.app.platform import Platform
from craton.inspecting.inspector import Inspector
from craton.serve.pricing import Prices


def open_inspector(platform: Platform, models: RunningModels) -> Inspector:
    return Inspector(
        models.directory,
        models.inference,
        Prices(platform.settings.prices),
        platform.blobs.path,
        available_memory,
    )
