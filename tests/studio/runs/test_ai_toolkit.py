"""Runs that ai-toolkit trains, under the real supervisor: a stand-in program has its files, its output and its ways of ending."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from PIL import Image

from backends.contract.adapter_file import read_adapter_header
from backends.contract.aitoolkit import FOLDER, PYTHON
from backends.contract.errors import DarkroomError
from backends.contract.events import read_events
from backends.contract.launch import LaunchSettings
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.methods.text_to_image import FluxTextToImageConfig
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.datasets.masks import set_masks
from studio.datasets.store import DatasetStore
from studio.runs.advice import compute_advice
from studio.runs.command import build_command
from studio.runs.control import reconcile, request_sample, resume_run, start_run, stop_run
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.launch_checks import check_launch
from studio.runs.levers import list_levers, suggest_less_memory
from studio.runs.preflight import run_preflight
from studio.runs.processes import find_members
from studio.runs.state import read_process, read_state
from studio.runs.store import RunStore
from tests.conftest import ROOT
from tests.studio.runs.conftest import processes_of, wait_for_state, wait_for_step
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
STAND_IN = ROOT / "tests" / "backends" / "external" / "stand_in"
PROMPTS = ["zog on a beach", "a cat"]
SHORT = {
    "max_train_steps": 60,
    "checkpointing_steps": 20,
    "sample_every": 20,
    "held_out_every": 10,
    "rank": 4,
    "seed": 3,
    "trigger_word": "zog",
    "sample_prompts": PROMPTS,
}
ENDED = ("finished", "stopped", "failed", "crashed", "interrupted")


@pytest.fixture
def begin(workspace, zog, monkeypatch):
    """Starts a run with these habits of the stand-in and these settings; ends what is left of it."""
    monkeypatch.setenv(FOLDER, str(STAND_IN))
    monkeypatch.setenv(PYTHON, sys.executable)
    begun: list[RunDir] = []

    def start(habits: str = "", *, grace_s: float = 30.0, **settings) -> RunDir:
        monkeypatch.setenv("STAND_IN", habits)
        config = FluxAiToolkitConfig(**{**SHORT, **settings})
        made = RunStore(workspace).create(dataset_id=zog, preset_key="", name="by aitk", backend="flux/ai_toolkit", config=config)
        begun.append(RunDir(workspace.run(made.id)))
        start_run(workspace, made.id, grace_s=grace_s)
        return begun[-1]

    yield start
    for run in begun:
        supervisor = int((read_process(run).get("supervisor") or {}).get("pid") or 0)
        for pid in [*processes_of(run), supervisor]:
            if pid and any(str(run.root) in part for part in _command_of(pid)):
                os.kill(pid, signal.SIGKILL)


def _command_of(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def events_of(run: RunDir, kind: str) -> list[dict]:
    return [e for e in read_events(run.events) if e["t"] == kind]


def programs_of(run: RunDir) -> list[int]:
    """Pids of the stand-in itself."""
    return [pid for pid in processes_of(run) if any(part.endswith("run.py") for part in _command_of(pid))]


def resume(workspace, run, monkeypatch, habits=""):
    monkeypatch.setenv("STAND_IN", habits)
    resume_run(workspace, run.root.name)


def test_a_run_ends_with_its_lora_its_samples_and_its_curves(workspace, begin):
    run = begin()
    state = wait_for_state(run, *ENDED)
    assert (state.state, state.step, state.reason) == ("finished", 60, "")
    assert complete_checkpoints(run) == [20, 40, 60]
    steps = [e["step"] for e in events_of(run, "step")]
    assert steps == list(range(1, 60))
    assert all(e["steps_per_s"] > 1 for e in events_of(run, "step")[2:])
    assert [e["step"] for e in events_of(run, "eval")] == [1, 10, 20, 30, 40, 50]
    samples = events_of(run, "sample")
    assert sorted((e["step"], e["prompt"]) for e in samples) == [(s, p) for s in (0, 20, 40, 60) for p in (0, 1)]
    assert all((run.root / e["file"]).is_file() and e["text"] == PROMPTS[e["prompt"]] for e in samples)
    (result,) = events_of(run, "result")
    assert (result["lora"], result["steps"], result["learned"]) == ("lora.safetensors", 60, None)
    assert 0 < result["heldout_loss_ratio"] < 1
    assert result["best_step"] == 50
    assert processes_of(run) == []
    assert {"loading", "caching", "training", "exporting"} >= {e["phase"] for e in events_of(run, "phase")} - {
        "starting",
        "saving",
        "sampling",
    }


def test_its_lora_says_how_it_was_made_and_not_where(begin):
    run = begin()
    wait_for_state(run, *ENDED)
    header = read_adapter_header(run.result)
    recipe = json.loads(header.metadata["darkroom.recipe"])
    assert recipe["backend"] == "flux/ai_toolkit"
    assert recipe["config"]["rank"] == 4
    assert recipe["versions"] == {"ai-toolkit": "0.0.1"}
    assert recipe["step"] == 60
    assert recipe["dataset"]["pictures"] == 11
    assert header.metadata["modelspec.architecture"] == "flux-1-dev/lora"
    assert header.metadata["modelspec.trigger_phrase"] == "zog"
    assert header.metadata["ss_network_alpha"] == header.metadata["ss_network_dim"] == "4"
    assert (header.rank, header.made_for) == (4, "Flux or another transformer")
    assert str(run.root.parent) not in json.dumps(header.metadata)
    kept = run.weights(20)
    assert json.loads(read_adapter_header(kept).metadata["darkroom.recipe"])["heldout_loss"] == pytest.approx(0.5 / 1.2)


def test_progress_is_seen_while_it_trains(workspace, begin):
    run = begin("step=0.1", max_train_steps=1000)
    wait_for_step(run, 5)
    info = RunStore(workspace).get(run.root.name)
    assert info.state == "running"
    assert 5 <= info.step < 1000
    assert info.max_steps == 1000
    wait_until(lambda: complete_checkpoints(run) == [20], "a checkpoint while it trains")
    wait_until(lambda: run.sample(20, 1).is_file(), "a sample while it trains")


def test_stop_saves_first_and_resume_goes_on_to_the_end(workspace, begin, monkeypatch):
    run = begin("step=0.4", checkpointing_steps=1000)
    wait_for_step(run, 3)
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, *ENDED)
    assert (state.state, state.reason) == ("stopped", "")
    (kept,) = complete_checkpoints(run)
    assert kept == state.step >= 3
    assert run.result.is_file()
    assert not run.stop_request.exists()

    resume(workspace, run, monkeypatch)
    after = wait_for_state(run, "finished", "failed", "crashed")
    assert (after.state, after.step) == ("finished", 60)
    assert complete_checkpoints(run) == [kept, 60]
    steps = [e["step"] for e in events_of(run, "step")]
    assert steps == sorted(set(steps)), "no step is told twice, none goes back"
    assert f"Found step {kept} in metadata" in run.log.read_text()
    assert [e["state"] for e in events_of(run, "state")] == ["running", "stopped", "running", "finished"]


def test_stop_before_the_first_step_ends_it_at_once(workspace, begin):
    run = begin("step=30")
    wait_until(lambda: programs_of(run), "the program")
    stop_run(workspace, run.root.name)
    assert wait_for_state(run, *ENDED, limit_s=25).state == "stopped"
    assert processes_of(run) == []


def test_a_version_that_only_hears_signals_is_interrupted(workspace, begin):
    run = begin("interrupt_only step=0.1", max_train_steps=1000)
    wait_until(lambda: complete_checkpoints(run), "a checkpoint")
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, *ENDED, limit_s=25)
    assert state.state == "stopped"
    assert state.reason == "Its last checkpoint is step 20."
    assert run.result.is_file()
    assert "Job stopped" in run.log.read_text()


def test_a_program_deaf_to_everything_is_gone_after_the_grace(workspace, begin):
    run = begin("deaf step=0.05", max_train_steps=1000, grace_s=1.0)
    wait_for_step(run, 3)
    stop_run(workspace, run.root.name)
    state = wait_for_state(run, *ENDED, limit_s=60)
    assert state.state == "stopped"
    assert processes_of(run) == []


def test_a_new_app_takes_over_a_run_that_trains(workspace, begin):
    run = begin("step=0.1")
    wait_for_step(run, 3)
    before = read_process(run)
    os.kill(int(before["supervisor"]["pid"]), signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(int(before["supervisor"]["pid"])), "the supervisor's end")
    assert reconcile(workspace)[run.root.name] in ("running", "starting")
    assert read_process(run)["launcher"] == before["launcher"]
    state = wait_for_state(run, *ENDED)
    assert (state.state, state.step) == ("finished", 60)
    assert [e["step"] for e in events_of(run, "step")] == list(range(1, 60))


def test_the_death_of_its_driver_leaves_no_program_behind_and_can_be_resumed(workspace, begin, monkeypatch):
    run = begin("step=0.1")
    wait_until(lambda: complete_checkpoints(run), "a checkpoint")
    assert programs_of(run)
    os.kill(int(read_process(run)["launcher"]["pid"]), signal.SIGKILL)
    state = wait_for_state(run, *ENDED)
    assert "crashed (signal 9)" in state.reason
    assert processes_of(run) == []
    resume(workspace, run, monkeypatch)
    assert wait_for_state(run, "finished", "failed", "crashed").state == "finished"


def test_when_supervisor_and_driver_die_together_the_program_dies_too(workspace, begin):
    run = begin("step=0.1", max_train_steps=1000)
    wait_for_step(run, 3)
    process = read_process(run)
    os.kill(int(process["supervisor"]["pid"]), signal.SIGKILL)
    os.kill(int(process["launcher"]["pid"]), signal.SIGKILL)
    wait_until(lambda: not find_members(int(process["session"]), str(process["token"])), "everything's end")
    assert reconcile(workspace)[run.root.name] == "interrupted"


@pytest.mark.parametrize(
    ("habit", "words"),
    [
        ("oom@5", ["Not enough memory on the GPU", "lower the resolution"]),
        ("gated", ["behind a licence", "https://huggingface.co/black-forest-labs/FLUX.1-dev", "HF_TOKEN"]),
        ("missing", ["did not find /models/ae.safetensors"]),
    ],
)
def test_a_failure_is_told_in_plain_words(begin, habit, words):
    run = begin(habit)
    state = wait_for_state(run, *ENDED)
    assert state.state == "failed"
    assert all(word in state.reason for word in words), state.reason
    assert "Traceback" not in state.reason
    assert "Traceback" in run.log.read_text()
    assert processes_of(run) == []


def test_a_kill_from_outside_is_told_as_what_it_is(begin):
    run = begin("kill9@5")
    state = wait_for_state(run, *ENDED)
    assert state.state == "crashed"
    assert "signal 9" in state.reason


def test_after_a_kill_in_the_middle_of_a_save_the_last_whole_one_counts(workspace, begin, monkeypatch):
    run = begin("torn@40")
    assert wait_for_state(run, *ENDED).state == "crashed"
    assert complete_checkpoints(run) == [20]
    resume(workspace, run, monkeypatch)
    assert wait_for_state(run, "finished", "failed", "crashed").state == "finished"
    assert "Found step 20 in metadata" in run.log.read_text()
    assert complete_checkpoints(run) == [20, 40, 60]


def test_a_lora_with_what_is_no_number_becomes_no_checkpoint_and_is_not_gone_on_from(workspace, begin, monkeypatch):
    run = begin("nan@40 kill9@45")
    assert wait_for_state(run, *ENDED).state == "crashed"
    assert complete_checkpoints(run) == [20]
    assert any("not numbers" in e["text"] for e in events_of(run, "notice"))
    resume(workspace, run, monkeypatch)
    assert wait_for_state(run, "finished", "failed", "crashed").state == "finished"
    assert "Found step 20 in metadata" in run.log.read_text()


def test_samples_can_be_asked_for_between_their_steps(workspace, begin):
    run = begin("step=0.1", sample_every=1000, max_train_steps=200)
    wait_for_step(run, 5)
    request_sample(workspace, run.root.name)
    wait_until(lambda: len(events_of(run, "sample")) > len(PROMPTS), "samples between")
    assert not run.sample_request.exists()
    assert events_of(run, "sample")[-1]["step"] >= 5


def test_an_older_version_is_used_as_far_as_it_goes(workspace, begin, monkeypatch, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(STAND_IN, older)
    (older / "toolkit" / "config_modules.py").write_text("")
    (older / "extensions_built_in" / "sd_trainer" / "DiffusionTrainer.py").write_text("# stop")
    monkeypatch.setenv(FOLDER, str(older))
    monkeypatch.setenv("STAND_IN", "no_judging")
    run = begin("no_judging")
    monkeypatch.setenv(FOLDER, str(older))
    assert wait_for_state(run, *ENDED).state == "finished"
    assert events_of(run, "eval") == []
    (result,) = events_of(run, "result")
    assert (result["heldout_loss_ratio"], result["learned"]) == (None, None)


def test_the_token_is_in_no_argument_no_file_and_no_log(begin, monkeypatch):
    token = "hf_" + "Zq7" * 11
    monkeypatch.setenv("HF_TOKEN", token)
    run = begin("step=0.1", sample_prompts=["zog with ${HF_TOKEN} on it"])
    wait_until(lambda: programs_of(run), "the program")
    assert all(token not in part for pid in processes_of(run) for part in _command_of(pid))
    assert wait_for_state(run, *ENDED).state == "finished"
    found = [p for p in run.root.rglob("*") if p.is_file() and token.encode() in p.read_bytes()]
    assert not found
    assert "with token •••" in run.log.read_text()
    document = yaml.safe_load((run.root / "aitoolkit" / "darkroom" / "config.yaml").read_text())
    assert document["config"]["process"][0]["sample"]["samples"][0]["prompt"] == "zog with ${HF_TOKEN} on it"


def test_the_command_starts_the_driver_alone(tmp_path):
    command = build_command(FluxAiToolkitConfig(), tmp_path, resume=True)
    assert command == [sys.executable, "-m", "backends.external.train", "--config", str(tmp_path / "config.yaml"), "--resume", "latest"]


def test_it_trains_on_this_machine_only():
    here = check_launch(FluxAiToolkitConfig(), LaunchSettings())
    assert here == []
    elsewhere = check_launch(FluxAiToolkitConfig(), LaunchSettings(launcher="slurm"))
    assert any("ai-toolkit trains on this machine alone" in f.text for f in elsewhere)


def test_nothing_is_advised_that_it_does_not_have():
    card = describe_hardware([Gpu("RTX 4070", 12.0, 12.0)], 8, 32.0)
    config = FluxAiToolkitConfig(quantize_base="none", gradient_checkpointing=False)
    ours = FluxTextToImageConfig(pretrained_model_name_or_path="flux-dev", resolution=512, rank=4)
    assert "nf4" in suggest_less_memory(ours, card, room_gb=12.0)
    for lever in list_levers(config, card):
        assert FluxAiToolkitConfig(**{**config.model_dump(), **lever.changes})
    assert not any("nf4" in lever.text or "int8" in lever.text for lever in list_levers(config, card))


def test_a_flat_held_out_curve_is_no_verdict_for_a_trainer_without_a_calibration():
    flat = [{"t": "eval", "step": step, "loss": 0.5} for step in (1, 50, 100, 150)]
    assert [a.kind for a in compute_advice(flat, FluxTextToImageConfig(pretrained_model_name_or_path="pocket-flux"))] == ["more"]
    assert compute_advice(flat, FluxAiToolkitConfig()) == []


def faults_of(workspace, zog) -> list[str]:
    return [f.text for f in run_preflight(workspace, zog, "flux/ai_toolkit", dict(SHORT)).faults]


def test_preflight_says_how_to_set_it_up_and_asks_for_none_of_our_packages(workspace, zog, monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER, raising=False)
    assert any("ai-toolkit is not set up" in text and "setup aitoolkit" in text for text in faults_of(workspace, zog))
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert any("is not ai-toolkit" in text for text in faults_of(workspace, zog))
    monkeypatch.setenv(FOLDER, str(STAND_IN))
    monkeypatch.setenv(PYTHON, sys.executable)
    assert not any("ai-toolkit" in text or "bitsandbytes" in text for text in faults_of(workspace, zog))


def test_masks_are_said_to_be_learnt_by_others_only(workspace, zog):
    store = DatasetStore(workspace)
    (row, *_) = store.pictures(zog)
    set_masks(store, zog, {row.id: Image.new("L", (row.width, row.height), 255)})
    warned = [f.text for f in run_preflight(workspace, zog, "flux/ai_toolkit", dict(SHORT)).warnings if "mask" in f.text]
    assert len(warned) == 1 and "1 of" in warned[0] and "of which ai-toolkit is not told: all of each picture is learnt" in warned[0]


def test_a_run_that_cannot_find_it_fails_with_the_way_out(begin, workspace, monkeypatch):
    run = begin()
    wait_for_state(run, *ENDED)
    again = RunDir(workspace.runs / "again")
    again.root.mkdir()
    for name in ("config.yaml", "manifest.jsonl", "run.json"):
        shutil.copyfile(run.root / name, again.root / name)
    monkeypatch.setenv(FOLDER, str(Path(workspace.root) / "nowhere"))
    start_run(workspace, "again")
    state = wait_for_state(again, *ENDED)
    assert state.state == "failed"
    assert "There is no folder" in state.reason
    assert read_state(again).step == 0


def test_resume_of_a_finished_run_is_refused(begin, workspace):
    run = begin()
    wait_for_state(run, *ENDED)
    with pytest.raises(DarkroomError, match="has finished"):
        resume_run(workspace, run.root.name)
