"""A run outlives the app, ends when asked to, leaves nothing behind, and never takes a stranger for its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import complete_checkpoints
from studio.runs.command import flags_of
from studio.runs.control import begin_run, find_busy_run, reconcile, request_sample, resume_run, start_run, stop_run
from studio.runs.hardware import describe_hardware, probe_hardware
from studio.runs.locks import device_lock, find_holder, held
from studio.runs.processes import Identity, boot_id, identify, is_alive
from studio.runs.state import read_process, read_state
from studio.runs.supervisor import Supervisor
from tests.studio.runs.conftest import processes_of, toy_command, wait_for_state, wait_for_step
from tests.studio.runs.toy_trainer import GO
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def start(workspace, run, monkeypatch, toy="", grace_s=30.0):
    monkeypatch.setenv("TOY", toy)
    start_run(workspace, run.root.name, grace_s=grace_s, command=toy_command(run))


def trainer_pid(run) -> int:
    return int(read_process(run)["launcher"]["pid"])


def test_a_run_goes_from_start_to_finish(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "steps=12")
    state = wait_for_state(run, "finished", "crashed", "failed")
    assert (state.state, state.step) == ("finished", 12)
    assert read_process(run)["exit_code"] == 0
    assert processes_of(run) == []
    assert find_busy_run(workspace) == ""


def test_a_killed_trainer_is_noticed_with_signal_and_step(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "kill9@15")
    state = wait_for_state(run, "crashed")
    assert "crashed (signal 9) at step 14" in state.reason
    assert "The last checkpoint is step 10." in state.reason


def test_an_exception_is_told_with_its_own_words(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "raise@5")
    state = wait_for_state(run, "crashed")
    assert "crashed (exit code 1) at step 4" in state.reason
    assert "RuntimeError: the toy broke" in state.reason


def test_an_end_without_a_word_is_not_taken_for_success(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "exit0@3")
    assert "without saying how" in wait_for_state(run, "crashed", "finished").reason


def test_stop_saves_and_ends_once_however_often_it_is_asked_for(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch)
    wait_for_step(run, 5)
    for _ in range(3):
        stop_run(workspace, run.root.name)
    state = wait_for_state(run, "stopped", "crashed", "failed")
    assert state.state == "stopped"
    assert complete_checkpoints(run)[-1] == state.step
    assert not run.stop_request.exists()
    stop_run(workspace, run.root.name)
    assert read_state(run).state == "stopped"


def test_a_trainer_that_ignores_stop_and_sigterm_is_gone_with_all_its_children(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "deaf child stranger", grace_s=0.3)
    wait_for_step(run, 3)
    wait_until(lambda: len(processes_of(run)) == 3, "the trainer, its child and the child in a session of its own")
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, "stopped", "crashed")
    assert state.state == "stopped"
    assert "did not answer" in state.reason
    assert processes_of(run) == []


def test_the_launchers_death_leaves_no_trainer_behind(workspace, make_run, monkeypatch):
    run = make_run()
    monkeypatch.setenv("TOY", "child")
    wrapper = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    start_run(workspace, run.root.name, command=[sys.executable, "-c", wrapper, *toy_command(run)])
    wait_for_step(run, 3)
    os.kill(trainer_pid(run), signal.SIGKILL)
    assert "signal 9" in wait_for_state(run, "crashed").reason
    assert processes_of(run) == []


def launched(run) -> list[str]:
    """The toy under the real launcher, as a trainer is."""
    flags = flags_of(TextToImageConfig(resolution=128), describe_hardware([], 2, 8.0))
    return [sys.executable, "-m", "accelerate.commands.launch", *flags, *toy_command(run)[1:]]


def test_under_accelerate_the_trainers_own_signal_is_told(workspace, make_run, monkeypatch):
    run = make_run()
    monkeypatch.setenv("TOY", "kill9@3")
    start_run(workspace, run.root.name, command=launched(run))
    assert "crashed (signal 9) at step 2" in wait_for_state(run, "crashed", "failed", "finished", limit_s=120).reason


def test_under_accelerate_a_dead_launcher_leaves_no_trainer_and_stop_works(workspace, make_run, monkeypatch):
    """`accelerate launch` with one process does not end its trainer when it is signalled."""
    run = make_run()
    monkeypatch.setenv("TOY", "")
    start_run(workspace, run.root.name, command=launched(run))
    wait_until(lambda: read_state(run).step >= 12, "step 12", limit_s=120)
    assert len(processes_of(run)) == 2
    os.kill(trainer_pid(run), signal.SIGTERM)
    wait_for_state(run, "crashed", "stopped", limit_s=60)
    assert processes_of(run) == []
    resume_run(workspace, run.root.name, command=launched(run))
    wait_until(lambda: read_process(run)["attempt"] == 2 and read_state(run).step >= 20, "the resumed run", limit_s=120)
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, "stopped", "crashed", limit_s=60).state == "stopped"
    assert processes_of(run) == []


APP = """
import sys
from pathlib import Path
from studio.runs.control import start_run
from studio.workspace import open_workspace
start_run(open_workspace(sys.argv[1]), sys.argv[2], command=sys.argv[3:])
print("started", flush=True)
sys.stdin.read()
"""


def test_the_apps_sudden_death_changes_nothing(workspace, make_run):
    run = make_run()
    arguments = [sys.executable, "-c", APP, str(workspace.root), run.root.name, *toy_command(run)]
    app = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TOY": "steps=60 wait@50"})
    assert app.stdout is not None
    assert app.stdout.readline() == b"started\n"
    wait_for_step(run, 3)
    app.kill()
    app.wait()
    assert reconcile(workspace) == {run.root.name: "running"}
    (run.root / GO).touch()
    state = wait_for_state(run, "finished", "crashed", "interrupted")
    assert (state.state, state.step) == ("finished", 60)
    steps = [line for line in run.events.read_text().splitlines() if '"t": "step"' in line]
    assert len(steps) == 60


def test_a_run_whose_supervisor_died_is_adopted_and_can_be_stopped(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch)
    wait_for_step(run, 3)
    first = int(read_process(run)["supervisor"]["pid"])
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: identify(first) is None, "the supervisor's death")
    assert read_state(run).state == "running"
    with pytest.raises(DarkroomError, match="training on this machine"):
        start(workspace, make_run("second"), monkeypatch)
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, "stopped", "crashed", "interrupted").state == "stopped"
    assert int(read_process(run)["supervisor"]["pid"]) != first
    assert processes_of(run) == []


def test_when_everything_was_killed_the_run_is_interrupted_and_resumes(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch)
    wait_for_step(run, 12)
    supervisor = int(read_process(run)["supervisor"]["pid"])
    os.kill(supervisor, signal.SIGKILL)
    os.kill(trainer_pid(run), signal.SIGKILL)
    wait_until(lambda: read_state(run).state == "interrupted", "interrupted")
    assert reconcile(workspace) == {run.root.name: "interrupted"}
    monkeypatch.setenv("TOY", "steps=20")
    resume_run(workspace, run.root.name, command=toy_command(run))
    assert wait_for_state(run, "finished", "crashed").state == "finished"
    assert read_process(run)["command"][-2:] == ["--resume", "latest"]
    assert read_state(run).attempts == 2


def test_a_reused_pid_is_a_stranger_and_is_never_signalled(workspace, make_run):
    run = make_run()
    stranger = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True)
    forged = {"pid": stranger.pid, "started": 1.0, "boot_id": boot_id()}
    record = {"supervisor": forged, "launcher": forged, "session": stranger.pid, "token": "none", "attempt": 1, "events_offset": 0}
    files.write_json(run.process, record)
    assert read_state(run).state == "interrupted"
    stop_run(workspace, run.root.name)
    assert reconcile(workspace) == {run.root.name: "interrupted"}
    assert stranger.poll() is None
    assert psutil.Process(stranger.pid).status() != psutil.STATUS_ZOMBIE
    stranger.kill()
    stranger.communicate()


def test_a_process_of_another_boot_is_not_alive():
    own = identify(os.getpid())
    assert own is not None
    assert is_alive(own)
    assert not is_alive(Identity(own.pid, own.started, "another boot"))


def test_of_twenty_calls_at_once_one_starts_the_run(workspace, make_run, monkeypatch):
    run = make_run()
    monkeypatch.setenv("TOY", "")
    assert race(lambda _: start_run(workspace, run.root.name, command=toy_command(run))) == 1
    assert read_process(run)["attempt"] == 1
    stop_run(workspace, run.root.name)
    wait_for_state(run, "stopped")


def test_of_twenty_runs_started_at_once_one_gets_the_machine(workspace, make_run, monkeypatch):
    runs = [make_run(f"run-{n}") for n in range(20)]
    monkeypatch.setenv("TOY", "")
    assert race(lambda n: start_run(workspace, runs[n].root.name, command=toy_command(runs[n]))) == 1
    busy = find_busy_run(workspace)
    assert [r.root.name for r in runs if read_process(r)] == [busy]
    stop_run(workspace, busy)
    wait_until(lambda: find_busy_run(workspace) == "", "the machine to be free again")


def race(call) -> int:
    """How many of 20 simultaneous calls were not refused; each refusal must be a sentence."""
    gate, done = threading.Barrier(20), []

    def one(number: int) -> None:
        gate.wait()
        try:
            call(number)
            done.append(number)
        except DarkroomError as error:
            assert error.text.endswith(".")

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done)


def test_a_run_that_keeps_failing_at_the_same_place_is_not_tried_for_ever(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "kill9@5")
    wait_for_state(run, "crashed")
    for _ in range(2):
        resume_run(workspace, run.root.name, command=toy_command(run))
        wait_for_state(run, "crashed")
    with pytest.raises(DarkroomError, match="3 times in a row without getting past step 0"):
        resume_run(workspace, run.root.name, command=toy_command(run))
    monkeypatch.setenv("TOY", "steps=3")
    resume_run(workspace, run.root.name, anyway=True, command=toy_command(run))
    assert wait_for_state(run, "finished", "crashed").state == "finished"


def test_a_finished_or_a_running_run_is_not_resumed(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "steps=30 wait@20")
    with pytest.raises(DarkroomError, match="nothing to resume|is being started"):
        resume_run(workspace, run.root.name, command=toy_command(run))
    (run.root / GO).touch()
    wait_for_state(run, "finished")
    with pytest.raises(DarkroomError, match="has finished"):
        resume_run(workspace, run.root.name, command=toy_command(run))


def test_samples_are_asked_for_by_a_file_and_only_while_it_runs(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch, "steps=40 wait@30")
    wait_for_step(run, 1)
    request_sample(workspace, run.root.name)
    assert run.sample_request.exists()
    (run.root / GO).touch()
    wait_for_state(run, "finished")
    with pytest.raises(DarkroomError, match="only while it runs"):
        request_sample(workspace, run.root.name)


def test_a_command_that_cannot_be_started_is_a_failed_run(workspace, make_run):
    run = make_run()
    with pytest.raises(DarkroomError, match="could not be started"):
        start_run(workspace, run.root.name, command=["/nowhere/python"])
    assert read_state(run).state == "failed"
    assert find_busy_run(workspace) == ""


def test_a_kill_for_want_of_memory_is_told_from_one_by_hand(workspace, make_run, monkeypatch):
    run = make_run(train_batch_size=8)
    supervisor = Supervisor(run, {})
    assert supervisor._meaning(signal.SIGKILL, starved=False) == "It was ended from outside. "
    told = supervisor._meaning(signal.SIGKILL, starved=True)
    assert "ran out of memory" in told
    assert "batch size 1" in told


def test_a_broken_process_file_does_not_start_a_second_trainer(workspace, make_run):
    run = make_run()
    run.process.write_text('{"supervisor": {"pid"')
    assert read_state(run).state == "interrupted"
    with pytest.raises(DarkroomError, match="already been started"):
        start_run(workspace, run.root.name, command=toy_command(run))


def test_a_stop_before_the_first_step_is_a_stop(workspace, make_run, monkeypatch):
    run = make_run()
    start(workspace, run, monkeypatch)
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, "stopped", "crashed", "failed").state == "stopped"
    assert processes_of(run) == []


def test_a_run_that_cannot_be_started_leaves_nothing_behind(workspace, zog):
    config = TextToImageConfig(resolution=128, trigger_word="zog")
    busy = pytest.raises(DarkroomError, match="“other” is training on this")
    with held(device_lock(workspace, probe_hardware().device), "other"), busy:
        begin_run(workspace, dataset_id=zog, preset_key="", name="mine", backend="sdxl/text_to_image", config=config)
    assert list(workspace.runs.iterdir()) == []


def test_looking_at_a_lock_never_makes_a_start_fail(workspace):
    path = device_lock(workspace, "cpu")
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            find_holder(path)

    watchers = [threading.Thread(target=look) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(200):
            with held(path, "a run"):
                pass
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()
