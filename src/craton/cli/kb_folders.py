"""Giving a folder of this machine to the server as a bucket: an operator's right, used on CRATON_HOME itself."""

from __future__ import annotations

import re
from pathlib import Path

from craton.app.address import running
from craton.app.config import Home
from craton.cli.connection import Connection
from craton.cli.errors import CommandError
from craton.cli.home import caller, opened

LONGEST = 60  # characters of a bucket's name, a number after it left room for


def register_folder(connection: Connection, base: str, folder: Path) -> str:
    """The bucket whose objects are this folder's files, made where there is none. base: what to call it.

    Raises CommandError for a server elsewhere, Forbidden for a key that is not the operator's.
    """
    here = running(Home.from_environment().server)
    if here is None or here.url.rstrip("/") != connection.url:
        raise CommandError(
            f"The server at {connection.url} does not see {folder}. "
            "Copy it into a bucket (`craton exec -- aws s3 cp --recursive`), then --from s3://BUCKET."
        )
    from craton.access.policy import authorize
    from craton.buckets.values import Place
    from craton.core.access import Action

    with opened() as platform:
        who = caller(platform, connection.token)
        authorize(who, Action.OPERATE)
        known = platform.buckets.registry.list(who.tenant)
        for bucket in known:
            if bucket.place.folder == str(folder.resolve()):
                return bucket.name
        name = _free(_bucket_name(base), {bucket.name for bucket in known})
        return platform.buckets.create(who.tenant, name, Place(str(folder))).name


def _bucket_name(base: str) -> str:
    """S3 knows lower-case letters, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-")[:LONGEST].strip("-")
    return name if len(name) >= 3 else f"kb-{name or 'documents'}"


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate
