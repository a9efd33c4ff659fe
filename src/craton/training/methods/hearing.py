"""What libraries warn of while they fit is for the user: in the run's log, not on a console that nobody sees."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from craton.training.protocol import Run

MOST = 10  # different ones
_ABOUT = (UserWarning, RuntimeWarning)


@contextmanager
def heard(run: Run) -> Iterator[None]:
    """Each warning is passed on once. (Filters of warnings are the process's: a job trains one thing at a time.)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    said = dict.fromkeys(_sentence(one.message) for one in caught if issubclass(one.category, _ABOUT))
    for sentence in [*said][:MOST]:
        run.warn(sentence)


def _sentence(message: Warning | str) -> str:
    """The first line that says something; XGBoost's begins with the time and the place in its source."""
    lines = [line.strip() for line in str(message).splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("[")), lines[0] if lines else "")
    return first.removeprefix("Parameters: ").replace(" are not used.", ": the library does not use this parameter.")[
        :500
    ]
