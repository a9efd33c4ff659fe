"""How much may be asked at once."""

from __future__ import annotations

MAX_TEXT = 50_000
"""Characters whose tokens are told."""

MAX_ATTENDED = 256
"""Tokens whose attention is looked at: a grid has a cell for each two of them."""

MAX_CELLS = 2_000_000
"""Numbers of one answer; some 12 MB of JSON."""

CUT_SECONDS = 20.0
LOOK_SECONDS = 120.0
"""Processor seconds; reading a model's weights is in them."""

WALL_FACTOR = 2.0
IDLE_SECONDS = 120.0
TASKS = 200
MOST_WAITING = 16
