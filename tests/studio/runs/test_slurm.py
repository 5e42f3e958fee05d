"""Runs in a real Slurm: queued, followed, stopped, cancelled, resumed, lost sight of and found again."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager

import pytest

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings, write_launch
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.control import find_busy_run, reconcile_run, resume_run, start_run, stop_run
from studio.runs.state import read_job, read_process, read_state
from studio.runs.store import RunStore
from studio.workspace import open_workspace
from tests.studio.runs.conftest import kill, toy_command, wait_for_state, wait_for_step
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def make_job(workspace, slurm, make_run, monkeypatch):
    """A run for Slurm that is not handed in yet; whatever it leaves in the queue is cancelled after the test."""
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    made = []

    def make(name: str = "toy", toy: str = "", **launch: object):
        monkeypatch.setenv("TOY", toy)
        run = make_run(name)
        write_launch(run, LaunchSettings(**{"launcher": "slurm", "gpus_per_machine": 0, "slurm_cpus": 1, **launch}))
        made.append(run)
        return run

    yield make
    for run in made:
        if job := read_process(run).get("job_id"):
            slurm.ask("scancel", str(job))
            reconcile_run(workspace, run.root.name)
            wait_until(lambda r=run: read_process(r).get("ended"), "the follower's end", limit_s=60)


def start(workspace, run, **values):
    start_run(workspace, run.root.name, command=toy_command(run), **values)


def job_id(run) -> str:
    return str(read_process(run)["job_id"])


def in_queue(slurm) -> list[str]:
    return slurm.ask("squeue", "-h", "-o", "%i").split()


@contextmanager
def closed_machines(slurm):
    """No job begins meanwhile; those that run go on."""
    slurm.ask("scontrol", "update", "NodeName=n1,n2", "State=DRAIN", "Reason=closed")
    try:
        yield
    finally:
        slurm.ask("scontrol", "update", "NodeName=n1,n2", "State=RESUME")


def follower_pid(run) -> int:
    return int(read_process(run)["supervisor"]["pid"])


def test_a_job_goes_from_the_queue_to_its_end_and_takes_no_device_here(workspace, slurm, make_job):
    run = make_job(toy="steps=60")
    with closed_machines(slurm):
        start(workspace, run)
        assert read_state(run).state == "queued"
    wait_for_state(run, "running")
    wait_until(lambda: read_job(run)["words"] in ("on n1", "on n2"), "the machine’s name")
    assert find_busy_run(workspace) == ""
    state = wait_for_state(run, "finished", "crashed", "failed", "interrupted", limit_s=60)
    assert (state.state, state.step) == ("finished", 60), state
    assert read_process(run)["exit_code"] == 0
    assert job_id(run) not in in_queue(slurm)


def test_a_queued_job_says_why_it_waits_and_stop_takes_it_out(workspace, slurm, make_job):
    run = make_job(slurm_partition="short", slurm_time="90")
    start(workspace, run)
    wait_until(lambda: "time limit is longer than its partition allows" in read_state(run).reason, lambda: read_state(run))
    assert read_state(run).state == "queued"
    info = RunStore(workspace).get(run.root.name)
    assert (info.state, "Waiting in the queue. Its time limit" in info.sentence) == ("queued", True)
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, "stopped", "crashed", "failed", "interrupted")
    assert (state.state, state.reason) == ("stopped", "Taken out of Slurm’s queue before it had begun.")
    assert job_id(run) not in in_queue(slurm)


def test_stop_saves_and_a_resume_is_a_new_job_that_goes_on(workspace, slurm, make_job):
    run = make_job()
    start(workspace, run)
    wait_for_step(run, 15)
    stop_run(workspace, run.root.name)
    stopped = wait_for_state(run, "stopped", "crashed", "failed", "interrupted")
    assert stopped.state == "stopped"
    assert complete_checkpoints(run)[-1] == stopped.step
    first = job_id(run)

    resume_run(workspace, run.root.name, command=toy_command(run))
    wait_for_step(run, stopped.step + 5)
    assert job_id(run) != first
    assert read_process(run)["attempt"] == 2
    assert "--resume latest" in (run.root / "job.sbatch").read_text()
    assert read_state(run).step > stopped.step


def test_a_trainer_that_does_not_answer_is_cancelled_after_the_grace(workspace, slurm, make_job):
    run = make_job(toy="deaf")
    start(workspace, run, grace_s=1.0)
    wait_for_step(run, 3)
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, "stopped", "crashed", "interrupted", limit_s=60)
    assert (state.state, "did not answer to Stop within 1 s" in state.reason) == ("stopped", True), state
    assert job_id(run) not in in_queue(slurm)


def test_a_job_cancelled_by_somebody_else_is_told_and_can_go_on(workspace, slurm, make_job):
    run = make_job()
    start(workspace, run)
    wait_until(lambda: complete_checkpoints(run), "a checkpoint")
    slurm.ask("scancel", job_id(run))
    state = wait_for_state(run, "interrupted", "crashed", "stopped", "failed")
    assert state.state == "interrupted", state
    assert "The job was cancelled from outside (scancel)" in state.reason
    assert "Resume goes on in a new job." in state.reason


def test_near_the_time_limit_it_saves_and_says_so(workspace, slurm, make_job):
    """Slurm sends the warning as this signal to the script; here it comes early."""
    run = make_job(slurm_time="60")
    start(workspace, run)
    wait_for_step(run, 5)
    slurm.ask("scancel", "--signal=USR1", "--batch", job_id(run))
    state = wait_for_state(run, "stopped", "interrupted", "crashed", "failed")
    assert (state.state, complete_checkpoints(run)[-1]) == ("stopped", state.step)
    assert "time limit in Slurm was near" in state.reason


def test_a_killed_trainer_is_told_with_its_signal(workspace, make_job):
    run = make_job(toy="kill9@15")
    start(workspace, run)
    state = wait_for_state(run, "crashed", "failed", "interrupted", "finished", limit_s=60)
    assert (state.state, "The last checkpoint is step 10." in state.reason) == ("crashed", True), state
    assert "14" in state.reason


def test_an_exception_is_told_with_its_own_words(workspace, make_job):
    run = make_job(toy="raise@5")
    start(workspace, run)
    state = wait_for_state(run, "crashed", "failed", "interrupted", "finished", limit_s=60)
    assert (state.state, "RuntimeError: the toy broke" in state.reason) == ("crashed", True), state


def test_a_setup_command_that_fails_ends_the_job_with_its_words_in_the_log(workspace, make_job):
    run = make_job(slurm_setup=["module_that_is_not_there load cuda"])
    start(workspace, run)
    state = wait_for_state(run, "crashed", "failed", "interrupted", "finished", limit_s=60)
    assert (state.state, "exit code 127" in state.reason) == ("crashed", True), state
    assert "module_that_is_not_there: command not found" in run.log.read_text()


def test_when_the_follower_dies_the_job_goes_on_and_is_followed_again(workspace, make_job):
    run = make_job()
    start(workspace, run)
    wait_for_step(run, 3)
    first = follower_pid(run)
    kill(first)
    wait_for_step(run, read_state(run).step + 10)
    assert read_state(run).state == "running"
    reconcile_run(workspace, run.root.name)
    wait_until(lambda: follower_pid(run) != first, "a new follower")
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, "stopped", "crashed", "interrupted").state == "stopped"


def test_a_job_that_ended_while_nobody_looked_is_told_rightly(workspace, slurm, make_job):
    run = make_job(toy="steps=30")
    start(workspace, run)
    kill(follower_pid(run))
    wait_until(lambda: job_id(run) not in in_queue(slurm), "the job's end")
    assert not read_process(run).get("ended")
    reconcile_run(workspace, run.root.name)
    assert wait_for_state(run, "finished", "crashed", "interrupted", "failed").state == "finished"


def test_while_slurm_is_silent_the_run_stands_as_it_was_and_the_page_is_told(workspace, slurm, make_job):
    run = make_job()
    start(workspace, run)
    wait_for_step(run, 3)
    slurm.stop_controller()
    try:
        wait_until(lambda: "Slurm has not answered since" in read_state(run).reason, "the silence", limit_s=60)
        assert read_state(run).state == "running"
    finally:
        slurm.start_controller()
    wait_until(lambda: read_state(run).reason == "", "an answer", limit_s=60)
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, "stopped", "crashed", "interrupted", limit_s=60).state == "stopped"


def test_a_job_whose_id_was_never_written_down_is_found_by_its_name(workspace, slurm, make_job):
    """The app died between handing in and writing."""
    run = make_job()
    start(workspace, run)
    wait_for_step(run, 3)
    number = job_id(run)
    kill(follower_pid(run))
    record = {k: v for k, v in read_process(run).items() if k != "job_id"} | {"began": 0.0}
    files.write_json(run.process, record)
    reconcile_run(workspace, run.root.name)
    wait_until(lambda: read_process(run).get("job_id") == number, "the id")
    files.write_json(run.process, read_process(run))


def test_a_job_that_never_reached_slurm_is_told_and_can_be_handed_in_again(workspace, make_job):
    run = make_job()
    files.write_json(run.process, {"launched_by": "slurm", "job_name": "darkroom-nothing", "attempt": 1, "began": 0.0, "events_offset": 0})
    reconcile_run(workspace, run.root.name)
    state = wait_for_state(run, "interrupted", "crashed", "failed")
    assert "was not handed in to Slurm" in state.reason
    resume_run(workspace, run.root.name, command=toy_command(run))
    wait_for_step(run, 3)


@pytest.mark.parametrize(
    ("launch", "told"),
    [
        ({"slurm_partition": "nowhere"}, "It knows no such partition"),
        ({"gpus_per_machine": 2}, "It has no GPUs of that kind or number"),
        ({"slurm_memory": "64G"}, "No machine has so much memory"),
        ({"slurm_lines": ["--nonsense=1"]}, "It does not know an option under More options"),
    ],
)
def test_what_slurm_refuses_is_told_and_the_run_stands_as_before(workspace, make_job, launch, told):
    run = make_job(**launch)
    with pytest.raises(DarkroomError, match=told):
        start(workspace, run)
    assert read_state(run).reason == "It was never started."


def test_a_workspace_with_any_name_is_no_command(make_job, tmp_path):
    here = make_job()
    odd = open_workspace(tmp_path / "my $(touch owned) `touch owned` \"x\" 'runs'; %j")
    run = RunDir(odd.runs / "toy")
    shutil.copytree(here.root, run.root)
    start(odd, run)
    wait_for_step(run, 3)
    stop_run(odd, "toy")
    assert wait_for_state(run, "stopped", "crashed", "interrupted", "failed").state == "stopped"
    assert run.log.exists()
    assert not list(tmp_path.rglob("owned"))


def test_secrets_reach_the_job_and_stand_in_no_file(workspace, make_job, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    run = make_job()
    start_run(workspace, run.root.name, command=[sys.executable, "-c", "import os; print('LENGTH', len(os.environ['HF_TOKEN']))"])
    wait_for_state(run, "crashed", "failed", "finished", "interrupted", limit_s=60)
    assert "LENGTH 17" in run.log.read_text()
    for path in workspace.root.rglob("*"):
        assert not path.is_file() or b"hf_planted_secret" not in path.read_bytes(), path
