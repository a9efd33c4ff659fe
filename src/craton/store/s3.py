"""A bucket of an S3-compatible store, through obstore: how it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest

if TYPE_CHECKING:
    from obstore.store import S3Store


def connect(
    bucket: str, endpoint: str = "", region: str = "us-east-1", secret: str = "", *, checksums: bool = False
) -> S3Store:
    """Asks nobody yet. endpoint: "" for Amazon's own; secret: ACCESS_KEY:SECRET_KEY, "" to ask without a signature;
    checksums: the store checks the SHA-256 of what it is sent. Raises InvalidRequest."""
    from obstore.store import S3Store

    options: dict[str, Any] = {"bucket": bucket, "region": region}
    if endpoint:
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    access_key, separator, secret_key = secret.partition(":")
    if secret and not separator:
        raise InvalidRequest("must be ACCESS_KEY:SECRET_KEY", "credential")
    if secret:
        options |= {"access_key_id": access_key, "secret_access_key": secret_key}
    else:
        options["skip_signature"] = True
    if endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}
    if checksums:
        options["checksum_algorithm"] = "sha256"
    return S3Store(**options)
