"""What quantising costs and brings: `python -m bench.quantising FILE.gguf q8_0 q4_k_m ...`.

Prints one line a kind: size, perplexity on Craton's own text, tokens a second of one stream (prompt, answer), and the
seconds that rewriting took. The first line is the file as it is.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from craton.conversion.quantising.measuring import Measured, Wanted, measure
from craton.conversion.quantising.recipes import recipe
from craton.conversion.quantising.rewriting import rewrite
from craton.conversion.quantising.text import HELD_OUT

TOKENS = 256


def main() -> None:
    source, kinds = Path(sys.argv[1]), sys.argv[2:]
    print("| kind | MB | perplexity | reads tok/s | writes tok/s | rewriting, s |\n|---|---|---|---|---|---|")
    _row("as it is", _measured(source), 0.0)
    with tempfile.TemporaryDirectory() as place:
        for kind in kinds:
            target = Path(place) / f"{kind}.gguf"
            started = time.perf_counter()
            rewrite(source, target, recipe(kind))
            seconds = time.perf_counter() - started
            _row(kind, _measured(target), seconds)
            target.unlink()


def _measured(file: Path) -> Measured:
    return measure(Wanted(str(file), HELD_OUT, TOKENS))


def _row(kind: str, found: Measured, seconds: float) -> None:
    cells = (f"{found.size / 1e6:.0f}", f"{found.perplexity:.2f}", f"{found.read:.0f}", f"{found.write:.0f}")
    print(f"| {kind} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
