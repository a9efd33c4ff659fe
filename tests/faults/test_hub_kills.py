"""kill -9 of the server amid uploads of the stock client: nothing acknowledged is lost, nothing torn, orphans go.

`make proof` does the same hundreds of times (tests/proof/hub.py).
"""

from __future__ import annotations

from pathlib import Path

from tests.proof.hub import storm

KILLS = 2


def test_what_the_hub_acknowledged_survives_its_death(tmp_path: Path) -> None:
    tally = storm(tmp_path, KILLS, seed=7)
    assert len(tally.acknowledged) >= KILLS
    assert (tally.lost, tally.torn, tally.left, tally.gone) == (0, 0, 0, 0)
    assert tally.files >= len(tally.acknowledged)
