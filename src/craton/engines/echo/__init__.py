"""The deterministic engine: says back what it is told, or what a script says. Most tests run against it.

from craton.engines.echo import EchoEngine
"""

from craton.engines.echo.engine import EchoEngine

__all__ = ["EchoEngine"]
