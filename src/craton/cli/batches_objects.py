"""The records and answers of batches as objects of a bucket, through the server's S3 port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from craton.cli.connection import Connection
from craton.cli.errors import ServerError

BLOCK = 1024 * 1024


class Objects:
    """Of one bucket."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._bucket = bucket
        with _told():
            self._s3 = _client(connection)

    def create_bucket(self) -> None:
        """No error when it is there."""
        with _told():
            if all(one["Name"] != self._bucket for one in self._s3.list_buckets()["Buckets"]):
                self._s3.create_bucket(Bucket=self._bucket)

    def put(self, key: str, file: Path) -> None:
        with _told(), file.open("rb") as body:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def append(self, key: str, target: Any) -> None:
        """target: an open binary file."""
        with _told():
            for block in self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(BLOCK):
                target.write(block)

    def keys(self, prefix: str) -> list[str]:
        with _told():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [one["Key"] for page in pages for one in page.get("Contents", ())]


def _client(connection: Connection) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    return Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=connection.url,
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
    )


@contextmanager
def _told() -> Iterator[None]:
    """What the client raises, as a sentence. Raises ServerError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise ServerError(str(error.response.get("Error", {}).get("Message") or error)) from error
    except BotoCoreError as error:
        raise ServerError(str(error)) from error
