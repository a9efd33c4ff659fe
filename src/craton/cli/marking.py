"""An answer from documents on the screen: the numbers of its sources stand where its sentences end.

A sentence's citation comes once the next sentence has begun, so what stands after an end that is not yet cited waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

UNSUPPORTED = "[?]"
_END = re.compile(r"[.!?…。！？][\"'”’)\]]*(?=\s)|\n")  # noqa: RUF001 - ends of sentences in East Asian texts


class Marking:
    """Feed it the events of an answer. write: takes text. numbers: of the sources, by address, in the order in which
    they came. unsupported: sentences that no source supports."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._said = ""
        self._written = self._settled = 0
        self.numbers: dict[str, int] = {}
        self.citations: list[dict[str, Any]] = []
        self.unsupported = 0

    def text(self, text: str) -> None:
        self._said += text
        self._release()

    def citation(self, citation: dict[str, Any]) -> None:
        """citation: of what was said already."""
        self._put(citation["end"])
        self._settled = max(self._settled, citation["end"])
        if citation["references"]:
            self.citations.append(citation)
        else:
            self.unsupported += 1
        self._write(f" {self._marks(citation['references'])}")
        self._release()

    def end(self) -> None:
        """Nothing more comes."""
        self._put(len(self._said))

    def _release(self) -> None:
        """Up to the first end of a sentence after what is cited; a part of a sentence is shown as it grows."""
        end = _END.search(self._said, self._settled + 1)
        self._put(end.end() if end else len(self._said))

    def _put(self, until: int) -> None:
        if until > self._written:
            self._write(self._said[self._written : until])
            self._written = until

    def _marks(self, references: list[dict[str, Any]]) -> str:
        """ "[1][3]"."""
        uris = [reference["passage"]["location"]["uri"] for reference in references]
        marks = [self.numbers.setdefault(uri, len(self.numbers) + 1) for uri in uris]
        return "".join(f"[{number}]" for number in dict.fromkeys(marks)) or UNSUPPORTED
