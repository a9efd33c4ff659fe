"""Where jobs may run beside this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from craton.access.tenants import DEFAULT_TENANT
from craton.app.platform import Platform

if TYPE_CHECKING:
    import httpx

    from craton.app.config.sections import RaySettings
    from craton.jobs.executor import Launch
    from craton.jobs.ray import Ray

RAY = "ray"


def clusters(platform: Platform, client: Callable[[], httpx.AsyncClient]) -> Mapping[str, Launch]:
    """By the names that jobs call them by; empty where the operator has configured none."""
    settings = platform.settings.ray
    if settings is None:
        return {}
    return {RAY: ray_cluster(platform, settings, client).launch}


def ray_cluster(platform: Platform, settings: RaySettings, client: Callable[[], httpx.AsyncClient]) -> Ray:
    from craton.jobs.ray import Cluster, Ray

    cluster = Cluster(settings.url, settings.command, settings.home, settings.cpus)
    credential = settings.credential
    return Ray(cluster, platform.jobs.leases, client, lambda: platform.vault.get(DEFAULT_TENANT, credential))


def places(platform: Platform) -> frozenset[str]:
    return frozenset() if platform.settings.ray is None else frozenset({RAY})
