"""Whether an error says that the disk is full. Libraries that are written in Rust hide that in errors of their own."""

from __future__ import annotations

import re

from craton.store.files import FULL

_NUMBER = re.compile(r"\(os error (\d+)\)")


def is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    found = _NUMBER.search(str(error))
    return found is not None and int(found[1]) in FULL
