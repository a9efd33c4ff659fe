"""The processes of a run come together, and part again whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from craton.training.protocol import Run
from craton.training.tuning.memory import Shared
from craton.training.tuning.together.group import Group


@contextmanager
def gathered(run: Run, processes: int) -> Iterator[Group | None]:
    """The leader's: None where this process is alone, by wish or because no other came. Raises Scattered."""
    if processes == 1:
        yield None
        return
    import torch

    team, threads = run.team(processes, here=True), torch.get_num_threads()
    try:
        meeting = team.meet()
        if meeting is None:
            run.warn("No other process came: the run goes on alone.")
            yield None
            return
        group = Group(meeting)
        try:
            fewer_threads(group.shared)
            run.log(f"{group.size} processes share each step and the model's weights")
            yield group
        finally:
            group.close()
    finally:
        torch.set_num_threads(threads)
        team.close()


def fewer_threads(shared: Shared) -> None:
    """Processes on one machine share its cores."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // shared.here))
