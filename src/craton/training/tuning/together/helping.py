"""A helper's side: it makes the model that the leader describes, takes its part of it, and does what it is told.

It needs no data and reads no weights; it writes nothing.
"""

from __future__ import annotations

import os

from craton.training.protocol import Helped, Run
from craton.training.tuning.attention import Segments
from craton.training.tuning.batches import LanguageLoss
from craton.training.tuning.running import OFFLINE, QUIET
from craton.training.tuning.together.frames import Begin, End
from craton.training.tuning.together.gathering import fewer_threads
from craton.training.tuning.together.group import Group, Scattered, scattering
from craton.training.tuning.together.member import Member
from craton.training.tuning.together.sharding import hollow, sharded


def help_tuning(run: Run) -> None:
    """Raises Helped in the end."""
    os.environ.update(OFFLINE | QUIET)  # of this process alone, before a library of theirs is imported
    meeting = run.team(0, here=True).meet()
    assert meeting is not None
    try:
        group = Group(meeting)
        fewer_threads(group.shared)
        member = _joined(group)
        while not isinstance(told := group.hear(), End):
            with scattering():
                member.do(told)
    except Scattered as error:
        raise Helped from error
    raise Helped


def _joined(group: Group) -> Member:
    begin = group.hear()
    assert isinstance(begin, Begin)
    segments = Segments()
    with scattering():
        model = sharded(hollow(begin.config, begin.lora, segments), begin.fit, group)
        return Member(model, LanguageLoss(model, segments), begin.fit, begin.seed, group)
