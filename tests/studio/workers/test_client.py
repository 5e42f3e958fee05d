"""What holds between the studio and any worker, shown with one that has no model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest

from backends.contract.errors import DarkroomError
from studio.workers.client import REPOSITORY, Cancelled, Worker, make_room


@pytest.fixture
def worker(tmp_path):
    made = Worker("tests.studio.workers.echo_worker", name="The echo", log_path=tmp_path / "echo.log")
    yield made
    made.release()


def gone(pid: int) -> bool:
    """Whether the process ends within 20 s."""
    try:
        psutil.Process(pid).wait(20)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_the_child_starts_on_first_use_and_stays(worker):
    assert worker.pid is None
    first = worker.request("echo", word="zög “quoted”").result()
    assert first["values"] == {"word": "zög “quoted”"}
    assert worker.request("echo").result()["pid"] == first["pid"] == worker.pid


def test_what_libraries_print_does_not_tear_the_replies(worker, tmp_path):
    assert worker.request("chatter").result()["stdin"] == ""
    assert worker.request("echo").result()["kind"] == "done"
    worker.release()
    assert "not a reply" in (tmp_path / "echo.log").read_text() and "nor this" in (tmp_path / "echo.log").read_text()


def test_a_fault_that_a_person_can_mend_comes_as_it_was_written(worker):
    with pytest.raises(DarkroomError, match="must be 8") as caught:
        worker.request("fail", plain=True).result()
    assert caught.value.field == "width"
    pid = worker.pid
    with pytest.raises(DarkroomError, match="ZeroDivisionError: inside"):
        worker.request("fail").result()
    with pytest.raises(DarkroomError, match="has no “fly”"):
        worker.request("fly").result()
    assert worker.request("echo").result()["pid"] == pid


def test_a_killed_child_is_told_in_plain_words_and_the_next_request_starts_anew(worker):
    replies = iter(worker.request("count"))
    waiting = worker.request("echo")
    next(replies)
    killed = worker.pid
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(DarkroomError, match="memory ran out"):
        list(replies)
    with pytest.raises(DarkroomError, match="memory ran out"):
        waiting.result()
    assert worker.request("echo").result()["pid"] != killed


def test_a_child_that_ends_by_itself_is_told_with_its_exit_code(worker):
    with pytest.raises(DarkroomError, match="exit code 3"):
        worker.request("end").result()
    assert worker.request("echo").result()["kind"] == "done"


def test_twenty_crashes_in_a_row_lose_no_answer(worker):
    for _ in range(20):
        calls = [worker.request("end"), worker.request("echo")]
        for call in calls:
            with pytest.raises(DarkroomError):
                call.result()
    assert worker.request("echo").result()["kind"] == "done"


def test_a_hung_child_is_given_up_and_replaced(tmp_path):
    worker = Worker("tests.studio.workers.echo_worker", name="The echo", log_path=tmp_path / "log", silence_s=30)
    replies = iter(worker.request("hang"))
    assert next(replies)["kind"] == "begun"
    hung = worker.pid
    quick = worker.request("echo")
    quick._silence_s = 0.01
    with pytest.raises(DarkroomError, match="no answer"):
        quick.result()
    assert gone(hung)
    with pytest.raises(DarkroomError, match="hung"):
        list(replies)
    assert worker.request("echo").result()["kind"] == "done"
    worker.release()


def test_cancelling_ends_a_running_and_a_waiting_request_and_no_other(worker):
    running, waiting, last = worker.request("count"), worker.request("count"), worker.request("echo")
    replies = iter(running)
    next(replies)
    waiting.cancel()
    running.cancel()
    for call in (replies, waiting):
        with pytest.raises(Cancelled):
            list(call)
    assert last.result()["kind"] == "done"


def test_leaving_the_loop_cancels(worker):
    for _ in worker.request("count"):
        break
    assert worker.request("echo").result()["kind"] == "done"


def test_release_ends_the_child_and_says_why(worker):
    replies = iter(worker.request("count"))
    next(replies)
    pid = worker.pid
    worker.release()
    assert not psutil.pid_exists(pid)
    with pytest.raises(DarkroomError, match="make room for a training run"):
        list(replies)
    assert worker.request("echo").result()["pid"] != pid


def test_a_run_that_starts_takes_the_memory_of_idle_workers_and_on_a_gpu_of_busy_ones(worker, tmp_path):
    idle = Worker("tests.studio.workers.echo_worker", name="The idle", log_path=tmp_path / "idle.log")
    idle.request("echo").result()
    replies = iter(worker.request("count"))
    next(replies)
    make_room(busy=False)
    assert idle.pid is None and next(replies)["kind"] == "number"
    make_room(busy=True)
    with pytest.raises(DarkroomError, match="make room for a training run"):
        list(replies)


def test_an_idle_child_is_stopped_and_a_busy_one_is_not(tmp_path):
    worker = Worker("tests.studio.workers.echo_worker", name="The echo", log_path=tmp_path / "log", idle_s=0.05)
    pid = worker.request("echo").result()["pid"]
    assert gone(pid)
    replies = iter(worker.request("count", up_to=400))  # 0.4 s at the least: eight times the idle time
    assert len(list(replies)) == 401
    worker.release()


def test_many_threads_each_get_their_own_answers(worker):
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        answers[number] = [worker.request("echo", number=number, i=i).result()["values"]["i"] for i in range(20)]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {n: list(range(20)) for n in range(8)}


def test_a_request_larger_than_a_pipe_neither_blocks_nor_tears(worker):
    words = ["x" * 1000] * 3000
    assert worker.request("echo", words=words).result()["values"]["words"] == words


def test_the_child_ends_with_a_studio_that_is_killed(tmp_path):
    code = """
        import sys
        from studio.workers.client import Worker
        worker = Worker("tests.studio.workers.echo_worker", name="The echo")
        call = iter(worker.request("count"))
        next(call)
        print(worker.pid, flush=True)
        sys.stdin.read()
    """
    studio = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid = int(studio.stdout.readline())
    assert psutil.pid_exists(pid)
    studio.kill()
    studio.wait()
    assert gone(pid)
    studio.stdin.close()
    studio.stdout.close()
