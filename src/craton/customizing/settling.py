"""What became of a deployment or throughput that was tried, written down where nothing else changed in between."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from craton.core.errors import NotFound
from craton.customizing.holding import Hold
from craton.customizing.rows import custom_models, deployments, throughputs
from craton.customizing.values import Deployment, Update
from craton.store.database import Database


class Settling:
    """Blocking. clock: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def name(self, tenant: str, custom: str) -> str:
        """What the directory knows a custom model by. Raises NotFound."""
        with self._database.read() as connection:
            model = custom_models.find(connection, tenant, custom)
        return f"{model.repo}@{model.revision}"

    def deployed(self, tried: Deployment, failure: str) -> None:
        """failure: "" when the model answered."""
        with self._database.write() as connection:
            try:
                found = deployments.find(connection, tried.tenant, tried.id)
            except NotFound:
                return  # deleted in between
            if (found.status, found.model, found.update) != (tried.status, tried.model, tried.update):
                return
            now = replace(found, updated=self._clock(), failure=failure)
            if found.status == "creating":
                now = replace(now, status="failed" if failure else "active")
            elif found.update is not None:
                model = found.update.model
                update = Update(model, "failed" if failure else "completed")
                now = replace(now, status="active", model=found.model if failure else model, update=update)
            deployments.update(connection, now)

    def held(self, hold: Hold, failure: str) -> None:
        """failure: "" when the model answered."""
        with self._database.write() as connection:
            try:
                found = throughputs.find(connection, hold.tenant, hold.throughput)
            except NotFound:
                return  # deleted in between
            now = replace(found, updated=self._clock(), failure=failure)
            if found.status == "creating" and Hold.present(found) == hold:
                now = replace(now, status="failed" if failure else "active")
            elif found.status == "updating" and Hold.desired(found) == hold:
                now = replace(now, status="active", desired="", desired_base="")
                if not failure:
                    now = replace(now, model=hold.custom, base=hold.base)
            else:
                return
            throughputs.update(connection, now)
