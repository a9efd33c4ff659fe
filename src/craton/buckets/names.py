"""Which names buckets and keys may have, and what `s3://bucket/key` says.

Buckets: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re

from craton.core.errors import InvalidRequest, TooLarge

MAX_KEY = 1024  # bytes of UTF-8
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def check_bucket(name: str) -> str:
    """Raises InvalidRequest for a name that a bucket may not have."""
    if not is_bucket(name):
        reason = "use 3 to 63 lower-case letters, digits, hyphens and dots, a letter or digit first and last"
        raise InvalidRequest(reason, "bucket")
    return name


def is_bucket(name: str) -> bool:
    """Whether a bucket can have this name at all."""
    return _BUCKET.fullmatch(name) is not None and ".." not in name and not _ADDRESS.fullmatch(name)


def check_key(key: str) -> str:
    """Raises InvalidRequest (empty, NUL, not Unicode) and TooLarge."""
    if not key:
        raise InvalidRequest("must not be empty", "key")
    if "\0" in key:
        raise InvalidRequest("must not hold a NUL character", "key")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("is not valid Unicode", "key") from None
    if size > MAX_KEY:
        raise TooLarge("A key", MAX_KEY, size)
    return key


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """ "s3://bucket/a/key" -> ("bucket", "a/key"); the key, or prefix, may be "". Raises InvalidRequest, TooLarge."""
    scheme, separator, rest = uri.partition("://")
    if scheme != "s3" or not separator:
        raise InvalidRequest("must look like s3://BUCKET/KEY", "uri")
    bucket, _, key = rest.partition("/")
    return check_bucket(bucket), check_key(key) if key else ""
