"""Checking what strangers bring, before it meets native code that other requests share.

from craton.engines.checking import Checker, CheckLimits
"""

from craton.engines.checking.checker import Checker, CheckLimits

__all__ = ["CheckLimits", "Checker"]
