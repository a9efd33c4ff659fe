"""OpenAI's API: models, chat completions, embeddings. Each is a `read_*` into the words of core and a `write_*` out of
them; `dialect.py` has the routes.

from craton.wire.openai import OpenAIDialect
"""

from craton.wire.openai.dialect import OpenAIDialect

__all__ = ["OpenAIDialect"]
