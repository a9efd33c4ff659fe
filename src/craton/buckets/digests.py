"""What is computed over an object's bytes while they pass: its MD5 (the ETag) and the checksums of S3.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from craton.buckets.crc import CRC32C, CRC64NVME, Crc
from craton.core.errors import Damaged


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


ALGORITHMS: Mapping[str, Callable[[], _Hash]] = {
    "crc32": _Crc32,
    "crc32c": lambda: Crc(CRC32C),
    "crc64nvme": lambda: Crc(CRC64NVME),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
"""By the names in S3's headers x-amz-checksum-NAME."""


class Digests:
    """etag: hex. checksums: base64, as S3 writes them. Blocking: for threads."""

    def __init__(self, algorithms: Iterable[str] = ()) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._others = {name: ALGORITHMS[name]() for name in algorithms}
        self.size = 0

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self._md5.update(data)
        for other in self._others.values():
            other.update(data)

    @property
    def etag(self) -> str:
        return self._md5.hexdigest()

    @property
    def checksums(self) -> dict[str, str]:
        return {name: encode(other.digest()) for name, other in self._others.items()}

    def check(self, promised: Mapping[str, str]) -> None:
        """promised: algorithm -> base64. Raises Damaged when the bytes have another."""
        found = self.checksums
        for name, value in promised.items():
            if found[name] != value:
                raise Damaged("The upload", f"its bytes do not have the promised checksum ({name}).")


def composite(algorithm: str, checksums: Iterable[str]) -> str:
    """A multipart object's checksum of checksums: base64, "-", the number of parts."""
    digest, count = ALGORITHMS[algorithm](), 0
    for value in checksums:
        digest.update(base64.b64decode(value))
        count += 1
    return f"{encode(digest.digest())}-{count}"


def composite_etag(etags: Iterable[str]) -> str:
    """A multipart object's ETag: the MD5 of its parts' MD5s, "-", their number."""
    digest, count = hashlib.md5(usedforsecurity=False), 0
    for etag in etags:
        digest.update(bytes.fromhex(etag))
        count += 1
    return f"{digest.hexdigest()}-{count}"


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
