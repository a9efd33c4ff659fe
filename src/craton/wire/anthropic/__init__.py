"""Anthropic's API: messages, token counts, models. Each is a `read_*` into the words of core and a `write_*` out of
them; `dialect.py` has the routes.

from craton.wire.anthropic import AnthropicDialect
"""

from craton.wire.anthropic.dialect import AnthropicDialect

__all__ = ["AnthropicDialect"]
