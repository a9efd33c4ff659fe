"""Documents of many formats to one text each, in child processes that may die of them.

from craton.data.parsing import ParseLimits, ParserPool
"""

from craton.data.parsing.limits import ParseLimits
from craton.data.parsing.pool import ParserPool

__all__ = ["ParseLimits", "ParserPool"]
