"""Spans of time as people write them: 90s, 30m, 12h, 7d, 2w."""

from __future__ import annotations

import re
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Duration(click.ParamType[float]):
    """Becomes seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhdw])", str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is not a span of time such as 90s, 30m, 12h, 7d or 2w", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]
