"""The PostgreSQL servers that the operator registered: [databases.NAME] in config.toml."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlsplit, urlunsplit

from craton.access.tenants import DEFAULT_TENANT
from craton.app.config import DatabaseSettings
from craton.app.platform import Platform
from craton.core.errors import NotFound
from craton.data.sql.words import Registered


class Databases:
    """Credentials are the operator's: they lie in the vault of the default tenant."""

    def __init__(self, platform: Platform) -> None:
        self._settings, self._vault = platform.settings.databases, platform.vault

    async def registered(self, tenant: str, name: str) -> Registered:
        """By its name or its ARN. Raises NotFound, also for a tenant that the operator did not give it to."""
        return await asyncio.to_thread(self._registered, tenant, name)

    def _registered(self, tenant: str, name: str) -> Registered:
        known, settings = self._find(tenant, name)
        url = self._with_password(settings)
        return Registered(known, url, settings.role, settings.seconds, settings.model)

    def check(self, tenant: str, name: str) -> None:
        """Raises NotFound unless there is such a database for this tenant."""
        self._find(tenant, name)

    def url(self, tenant: str, name: str) -> str:
        """By its name or its ARN, the password filled in. Blocking. Raises NotFound."""
        return self._with_password(self._find(tenant, name)[1])

    def operators_url(self, name: str) -> str:
        """For the platform's own use, whatever the tenant. Blocking."""
        return self._with_password(self._settings[name])

    def _find(self, tenant: str, name: str) -> tuple[str, DatabaseSettings]:
        for known, settings in self._settings.items():
            if is_given(settings, tenant) and (name == known or (settings.arn and name == settings.arn)):
                return known, settings
        raise NotFound("database", name, "The operator registers databases in config.toml: [databases.NAME].")

    def _with_password(self, settings: DatabaseSettings) -> str:
        if not settings.credential:
            return settings.url
        parts = urlsplit(settings.url)
        secret = quote(self._vault.get(DEFAULT_TENANT, settings.credential), safe="")
        user = quote(parts.username or "postgres", safe="")
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))


def is_given(database: DatabaseSettings, tenant: str) -> bool:
    """Whether the operator lets this tenant use it."""
    return not database.tenants or tenant in database.tenants
