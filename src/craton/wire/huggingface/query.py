"""Query strings and forms as the Hub's clients write them: `expand=a&expand=b`, older ones `expand[]=a`."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from craton.core.errors import InvalidRequest
from craton.wire.http import Request

MAX_FIELDS = 1000
_TRUE = frozenset({"1", "true", "yes", "on"})


class Query:
    """Names and values, decoded; a name with [] behind it is the same name."""

    def __init__(self, text: str, limit: int = MAX_FIELDS) -> None:
        """Raises InvalidRequest for more than `limit` fields."""
        try:
            self._pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=limit)
        except ValueError as error:
            raise InvalidRequest(f"it holds more than {limit:,} fields", "query") from error

    @classmethod
    def of(cls, request: Request) -> Query:
        return cls(request.query)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key.removesuffix("[]") == name]

    def text(self, name: str) -> str:
        """The last value, or ""."""
        found = self.all(name)
        return found[-1] if found else ""

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in _TRUE

    def number(self, name: str, default: int, most: int) -> int:
        """From 1 to `most`; more is as much as there is. Raises InvalidRequest for what is no number."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) < 1:
            raise InvalidRequest("must be a number above 0", name)
        return min(int(text), most)

    def but(self, **values: str) -> str:
        """The query with these values instead of its own of those names."""
        return urlencode([*((key, value) for key, value in self._pairs if key not in values), *values.items()])
