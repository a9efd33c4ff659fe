"""Where jobs may run beside this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from craton.access.tenants import DEFAULT_TENANT
from craton.app.platform import Platform

if TYPE_CHECKING:
    import httpx

    from craton.jobs.executor import Launch

RAY = "ray"


def clusters(platform: Platform, client: Callable[[], httpx.AsyncClient]) -> Mapping[str, Launch]:
    """By the names that jobs call them by; empty where the operator has configured none."""
    settings = platform.settings.ray
    if settings is None:
        return {}
    from craton.jobs.ray import Cluster, Ray

    cluster = Cluster(settings.url, settings.command, settings.home, settings.cpus)
    credential = settings.credential
    ray = Ray(cluster, platform.jobs.leases, client, lambda: platform.vault.get(DEFAULT_TENANT, credential))
    return {RAY: ray.launch}


def places(platform: Platform) -> frozenset[str]:
    return frozenset() if platform.settings.ray is None else frozenset({RAY})
