"""What was added is there again after a crash, in the order of the records, and a torn end is nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from craton.batch.answering import Answered
from craton.batch.spool import Kept, Spool

LINES = {number: f"answer {number} {'x' * (number * 37 % 500)}".encode() for number in range(200)}


def fill(folder: Path, numbers: list[int]) -> None:
    spool = Spool(folder)
    assert list(spool.open()) == []
    for number in numbers:
        spool.add(number, Answered(LINES[number], number % 7 != 0, number, 2 * number))
    spool.close()


def test_answers_in_any_order_come_out_in_the_order_of_their_records(tmp_path: Path) -> None:
    numbers = list(LINES)
    random.Random(1).shuffle(numbers)
    fill(tmp_path, numbers)
    spool = Spool(tmp_path)
    assert list(spool.open()) == [Kept(number, number % 7 != 0, number, 2 * number) for number in numbers]
    assert b"".join(spool.output(0, 200)) == b"".join(LINES[number] + b"\n" for number in range(200))
    assert b"".join(spool.output(50, 53)) == b"".join(LINES[number] + b"\n" for number in range(50, 53))
    spool.close()


def test_records_without_an_answer_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, [3, 1])
    spool = Spool(tmp_path)
    list(spool.open())
    assert [spool.has(number) for number in range(5)] == [False, True, False, True, False]
    assert b"".join(spool.output(0, 5)) == LINES[1] + b"\n" + LINES[3] + b"\n"
    spool.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_file_cut_anywhere_keeps_what_was_whole_and_goes_on(tmp_path: Path, seed: int) -> None:
    numbers = list(range(30))
    fill(tmp_path, numbers)
    answers = tmp_path / "answers"
    data = answers.read_bytes()
    cut = random.Random(seed).randrange(len(data))
    answers.write_bytes(data[:cut])
    spool = Spool(tmp_path)
    kept = [one.number for one in spool.open()]
    assert kept == numbers[: len(kept)]
    assert len(kept) < 30
    for number in numbers[len(kept) :]:
        assert not spool.has(number)
        spool.add(number, Answered(LINES[number], True))
    assert b"".join(spool.output(0, 30)) == b"".join(LINES[number] + b"\n" for number in numbers)
    spool.close()


def test_bytes_that_were_never_written_end_it(tmp_path: Path) -> None:
    """A file can be longer than what reached the medium: the rest is zeros, or what was there before."""
    fill(tmp_path, [0, 1, 2])
    answers = tmp_path / "answers"
    data = bytearray(answers.read_bytes())
    whole = len(data)
    data[-3] ^= 1
    answers.write_bytes(bytes(data) + bytes(500))
    spool = Spool(tmp_path)
    assert [one.number for one in spool.open()] == [0, 1]
    spool.close()
    assert answers.stat().st_size < whole
