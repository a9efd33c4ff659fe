"""Pictures as the numbers that networks take: decoded within bounds, brought to one size; the same while training and
while serving. What a file claims of itself is read before anything is decoded."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Array = np.ndarray[Any, Any]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 32 << 20  # of one file
MAX_PIXELS = 40_000_000  # of one picture
MAX_NUMBERS = 50_000_000  # of the pictures of one request, as the model takes them
_GREY, _DEEP = frozenset({"1", "L", "LA", "I;16", "I;16B", "I"}), frozenset({"I;16", "I;16B", "I"})
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError)
"""What Pillow raises for bytes that are no picture, or end too early."""


class NoPicture(ValueError):
    """Why, for people."""


def opened(content: bytes) -> Image.Image:
    """Its header: nothing is decoded. Raises NoPicture."""
    from PIL import Image

    if len(content) > MAX_BYTES:
        raise NoPicture(f"the file has {len(content):,} bytes, and {MAX_BYTES:,} are read")
    try:
        found = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise NoPicture(f"it has far more than the {MAX_PIXELS:,} pixels that are decoded") from None
    except _BROKEN:
        raise NoPicture(f"it is no picture ({', '.join(FORMATS)})") from None
    if found.width * found.height > MAX_PIXELS:
        raise NoPicture(f"it has {found.width:,} x {found.height:,} pixels, and {MAX_PIXELS:,} are decoded")
    return found


def size_of(image: Image.Image) -> tuple[int, int, int]:
    """Height, width, channels."""
    return image.height, image.width, 1 if image.mode in _GREY else 3


def decoded(content: bytes, shape: tuple[int, ...]) -> Array:
    """shape: height, width, channels (1: grey, 3: red, green, blue). float32 from 0 to 1. Raises NoPicture."""
    import numpy as np
    from PIL import Image, ImageOps

    height, across, channels = shape
    image = opened(content)
    try:
        upright = ImageOps.exif_transpose(image)  # cameras say how they were held
        if upright.mode in _DEEP:  # Pillow would cut 16 bits off at 255
            upright = Image.fromarray((np.asarray(upright).astype(np.float64) / 257).round().astype(np.uint8))
        plain = upright.convert("L" if channels == 1 else "RGB")
        if plain.size != (across, height):
            plain = plain.resize((across, height), Image.Resampling.BILINEAR)
    except (*_BROKEN, Image.DecompressionBombError):
        raise NoPicture("it is broken, or ends too early") from None
    found: Array = np.asarray(plain, np.float32).reshape(shape) / np.float32(255)
    return found


def from_text(text: str) -> bytes:
    """A file in base64, also as a data: address. Raises NoPicture."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    if len(encoded) > MAX_BYTES * 4 // 3 + 4:
        raise NoPicture(f"the file has more than {MAX_BYTES:,} bytes")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoPicture("it is no base64 of a picture's file") from None
