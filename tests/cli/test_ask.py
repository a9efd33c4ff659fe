"""How quotations are shown."""

from __future__ import annotations

import pytest

from craton.cli.ask import plain


@pytest.mark.parametrize(
    ("quote", "shown"),
    [
        ("Prices are\ncounted in  tokens.", "Prices are counted in tokens."),
        ("**A token** is a piece of text.", "A token is a piece of text."),
        ("## Running it", "Running it"),
        ("\nThe next quotation.", "\nThe next quotation."),
        ("2**10 and docs/**/*.md and __init__ stay.", "2**10 and docs/**/*.md and __init__ stay."),
    ],
)
def test_a_quotation_loses_its_layout_and_none_of_its_words(quote: str, shown: str) -> None:
    assert plain(quote) == shown
