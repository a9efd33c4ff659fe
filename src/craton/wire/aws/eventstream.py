"""Writing application/vnd.amazon.eventstream. (botocore has the reader only.)

A frame: total length, headers length, CRC32 of those eight bytes; headers; payload; CRC32 of all that came before.
Integers are big-endian. A header: name length (1 byte), name, type (1 byte, 7 = string), value length (2 bytes), value.
Format: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct("!II")
_WORD = struct.Struct("!I")
_STRING = 7
_AROUND = 16  # prelude, its checksum and the frame's


def headers_block(headers: dict[str, str]) -> bytes:
    """Headers as they stand in a frame. Names hold at most 255 bytes, values 65,535."""
    block = bytearray()
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        block += struct.pack(f"!B{len(key)}sBH{len(text)}s", len(key), key, _STRING, len(text), text)
    return bytes(block)


def event_headers(event: str) -> bytes:
    return headers_block({":event-type": event, ":content-type": "application/json", ":message-type": "event"})


def exception_headers(exception: str) -> bytes:
    return headers_block(
        {":exception-type": exception, ":content-type": "application/json", ":message-type": "exception"}
    )


def frame(headers: bytes, payload: bytes) -> bytes:
    """One frame around an encoded headers block and a payload."""
    prelude = _PRELUDE.pack(len(headers) + len(payload) + _AROUND, len(headers))
    message = b"".join((prelude, _WORD.pack(crc32(prelude)), headers, payload))
    return message + _WORD.pack(crc32(message))
