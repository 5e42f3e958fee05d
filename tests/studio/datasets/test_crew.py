"""Work on many pictures at once: in order, in threads or processes, whatever one of them does."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from studio.datasets import crew
from studio.datasets.crew import work_through
from tests.waiting import wait_until


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def fall_on_seven(number: int) -> int:
    if number % 50 == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail_on_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number


def stay_at_work(path: str) -> str:
    Path(path).write_text(str(os.getpid()))
    if Path(path).name >= "016":
        threading.Event().wait()
    return path


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def say(number: int) -> int:
    return -number


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(crew.os, "cpu_count", lambda: 2)


@pytest.mark.parametrize("count", [0, 1, 3, 100])
@pytest.mark.parametrize("many", [1, 1000], ids=["processes", "threads"])
def test_results_come_in_the_order_of_the_items(count, many):
    results = list(work_through(double, iter(range(count)), count, say, many=many))
    assert [number for number, _ in results] == [2 * n for n in range(count)]
    assert (os.getpid() in {pid for _, pid in results}) == (many > count > 0)


def test_an_item_that_brings_its_process_down_is_named_and_the_others_are_done():
    results = list(work_through(fall_on_seven, range(100), 100, say, many=1))
    assert results == [-n if n in (7, 57) else n for n in range(100)]


@pytest.mark.parametrize("many", [1, 1000], ids=["processes", "threads"])
def test_what_the_work_raises_is_raised(many):
    with pytest.raises(ValueError, match="seven"):
        list(work_through(fail_on_seven, range(20), 20, say, many=many))


def test_only_some_items_are_fetched_before_their_turn():
    fetched = []
    results = work_through(double, (fetched.append(n) or n for n in range(10_000)), 10_000, say, many=1)
    next(results)
    results.close()
    assert len(fetched) <= 100


def test_closing_ends_the_processes_that_are_at_work(tmp_path):
    """As a person does who cancels: the first results are there, and the rest would take for ever."""
    results = work_through(stay_at_work, [str(tmp_path / f"{n:03d}") for n in range(200)], 200, str, many=1)
    assert next(results).endswith("000")
    wait_until(lambda: any(path.name >= "016" for path in tmp_path.iterdir()), "a process at work")
    pids = {int(path.read_text()) for path in tmp_path.iterdir() if path.read_text()}
    results.close()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "the end of the processes")
