"""How long the rest will take."""

from __future__ import annotations

import pytest

from craton.jobs.rate import Rate


def test_a_steady_rate_gives_the_exact_rest() -> None:
    rate = Rate()
    assert rate.eta(0.0, 0, 100) is None
    for second in range(1, 11):
        assert rate.eta(float(second), second * 5, 100) == pytest.approx((100 - second * 5) / 5)


def test_what_an_earlier_attempt_did_is_not_counted_as_speed() -> None:
    rate = Rate()
    rate.eta(0.0, 5000, 6000)
    assert rate.eta(10.0, 5010, 6000) == pytest.approx(990.0)


def test_a_change_of_rate_is_followed_within_minutes() -> None:
    rate, done = Rate(), 0
    for second in range(300):
        done += 100 if second < 100 else 1
        eta = rate.eta(float(second), done, 100_000)
    assert eta == pytest.approx(100_000 - done, rel=0.2)


def test_nothing_is_known_without_a_total_or_progress() -> None:
    rate = Rate()
    assert rate.eta(0.0, 0, 10) is None
    assert rate.eta(5.0, 0, 10) is None
    assert rate.eta(6.0, 5, None) is None
    assert rate.eta(7.0, 2, 10) is None  # begun anew
