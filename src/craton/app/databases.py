"""The PostgreSQL servers that the operator registered: [databases.NAME] in config.toml."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from craton.access.tenants import DEFAULT_TENANT
from craton.app.config import DatabaseSettings
from craton.app.platform import Platform
from craton.core.errors import NotFound


class Databases:
    """Credentials are the operator's: they lie in the vault of the default tenant."""

    def __init__(self, platform: Platform) -> None:
        self._settings, self._vault = platform.settings.databases, platform.vault

    def url(self, name: str) -> str:
        """By its name or its ARN, the password filled in. Blocking. Raises NotFound."""
        return self._with_password(self.settings(name)[1])

    def settings(self, name: str) -> tuple[str, DatabaseSettings]:
        """By its name or its ARN: the name, and what is registered under it. Raises NotFound."""
        for known, settings in self._settings.items():
            if name == known or (settings.arn and name == settings.arn):
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
