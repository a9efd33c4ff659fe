"""Breaks lines between words while text still arrives, where the terminal would break them inside."""

from __future__ import annotations

import unicodedata


class Wrapping:
    """Feed it pieces, write what it gives back. A word is held until it is whole. width: the terminal's columns."""

    def __init__(self, width: int) -> None:
        self._width = max(width, 2)
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        written = []
        for letter in text:
            if letter == "\n":
                written.append(self._flush() + letter)
                self._column = 0
            elif letter.isspace():
                written.append(self._flush() + self._space(letter))
            elif _columns(letter) == 2:  # Chinese and its like: lines break anywhere
                written.append(self._flush())
                self._word = letter
                written.append(self._flush())
            else:
                self._word += letter
        return "".join(written)

    def end(self) -> str:
        """The last word."""
        return self._flush()

    def _space(self, letter: str) -> str:
        if self._column >= self._width:
            return ""  # the line breaks here anyway
        self._column = min(self._width, (self._column // 8 + 1) * 8 if letter == "\t" else self._column + 1)
        return letter

    def _flush(self) -> str:
        word, self._word = self._word, ""
        columns = sum(map(_columns, word))
        if self._column and self._column + columns > self._width:
            self._column = columns
            return "\n" + word
        self._column += columns
        return word


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
