"""How a process lets others go first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

JOB = 10
"""Of what nobody waits for: answers come first."""


def be_nice(niceness: int) -> None:
    """At least so nice (0 to 19), and a child that is nice already stays so.

    Where Linux schedules by sessions it weighs those against each other before it looks at any process (sched(7), "The
    autogroup feature"), and every child of ours has a session of its own: that is then made as nice.
    """
    now = os.nice(0)
    if now < niceness:
        now = os.nice(niceness - now)
    if now > 0 and os.getsid(0) == os.getpid():
        with suppress(OSError):  # there are no such groups here
            Path("/proc/self/autogroup").write_text(str(now))
