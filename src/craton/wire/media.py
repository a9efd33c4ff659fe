"""Bytes inside JSON: base64, data: addresses, and what media types are called in `core`."""

from __future__ import annotations

import base64
import binascii

from craton.core.errors import InvalidRequest, Unsupported

IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


def decode_base64(text: str, field: str) -> bytes:
    """Raises InvalidRequest, also for nothing at all."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("not valid base64", field) from error
    if not data:
        raise InvalidRequest("it is empty", field)
    return data


def decode_data_url(url: str, field: str) -> tuple[str, bytes]:
    """The media type (lower case, without parameters) and the bytes of a data: address (RFC 2397), base64 only.

    Raises Unsupported for any other address: Craton fetches nothing that a request names.
    """
    if url[:5].lower() != "data:":
        raise Unsupported(f"Fetching the address in {field}", "Send the bytes as a `data:` address with base64.")
    head, comma, text = url[5:].partition(",")
    media_type, *parameters = head.lower().split(";")
    if not comma or "base64" not in parameters:
        raise InvalidRequest("a data: address must be base64", field)
    return media_type.strip(), decode_base64(text, field)


def image_format(media_type: str, field: str) -> str:
    """ "png", "jpeg", "gif" or "webp". Raises InvalidRequest."""
    try:
        return IMAGE_FORMATS[media_type]
    except KeyError:
        raise InvalidRequest(
            f"{media_type or 'no media type'} is not one of {', '.join(IMAGE_FORMATS)}", field
        ) from None
