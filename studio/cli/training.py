"""Commands about runs: train, demo, runs list/show/stop/resume, backends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from backends.contract.config import ConfigFaults, Fault
from backends.contract.events import read_events
from backends.contract.rundir import LORA, RunDir, complete_checkpoints
from backends.contract.shards import find_shards
from backends.registry import BACKENDS, REFUSED, find_backend
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.follow import follow_run
from studio.cli.output import bar, emit, escape, parse_settings, people, plain_errors, table
from studio.datasets.samples import create_sample_dataset
from studio.datasets.watch import Watch
from studio.runs import control
from studio.runs.control import resume_run, stop_run
from studio.runs.preflight import preflight_launch
from studio.runs.presets import Preset, find_preset, load_presets
from studio.runs.reading import Reading
from studio.runs.state import read_job
from studio.runs.store import RunInfo

runs_app = typer.Typer(help="Runs: list, show, stop, resume.", no_args_is_help=True)
RunArgument = Annotated[str, typer.Argument(help="Id of the run (see: runs list).")]
WaitOption = Annotated[bool, typer.Option(help="Follow the run until it ends. Leaving with Ctrl+C does not stop it.")]
DEMO_PRESET = "text_to_image/pocket_subject"


def begin_run(
    studio: Studio,
    dataset_id: str,
    preset_key: str,
    changes: dict[str, Any],
    name: str,
    launch: dict[str, Any] | None = None,
    *,
    quiet: bool = True,
) -> RunInfo:
    """Checks everything, freezes the settings, starts the trainer where `launch` says, else on this machine.

    In the place of a data set's id a folder with shards may stand. Unless `quiet`, a bar tells how far it is.

    Raises:
        ConfigFaults: With every fault at once, before anything starts.
    """
    preset = find_preset(preset_key)
    shards = find_shards(dataset_id) if Path(dataset_id).expanduser().is_dir() else []
    if shards and "train_data_dir" not in find_backend(preset.backend).config.model_fields:
        text = f"The preset {preset.key} learns a subject from a few pictures and reads no shards. Give a data set, or another preset."
        raise ConfigFaults([Fault(field="preset", text=text)])
    if shards:
        changes, dataset_id = {"train_data_dir": str(shards[0].parent.absolute()), **changes}, ""
    word = studio.datasets.info(dataset_id).trigger_word if dataset_id else ""
    values = {**preset.values_for(word), **changes}
    with bar(quiet=quiet) as progress:
        task = progress.add_task("Looking at everything", total=100)

        def tell(watch: Watch) -> None:
            progress.update(task, description=watch.what, completed=int(100 * (watch.part or 0)))

        reading = Reading(Watch(tell))
        preflight, where = preflight_launch(studio.workspace, dataset_id, preset.backend, values, launch or {}, reading)
        if preflight.config is None or preflight.faults:
            raise ConfigFaults(preflight.faults)
        run = control.begin_run(
            studio.workspace,
            dataset_id=dataset_id,
            preset_key=preset.key,
            name=name or dataset_id or shards[0].parent.absolute().name,
            backend=preset.backend,
            config=preflight.config,
            launch=where,
            reading=reading,
        )
        progress.update(task, description="Everything is looked at", completed=100)
    return run


def summary(studio: Studio, run_id: str) -> dict[str, Any]:
    """What a machine wants to know of a run that has ended."""
    run = RunDir(studio.workspace.run(run_id))
    info = studio.runs.get(run_id)
    result: dict[str, Any] = next((e for e in reversed(read_events(run.events)) if e["t"] == "result"), {})
    keys = ("steps", "seconds", "steps_per_s", "heldout_loss_start", "heldout_loss_end", "heldout_loss_ratio", "best_step", "learned")
    value: dict[str, Any] = {
        "run": run_id,
        "state": info.state,
        "step": info.step,
        "job": read_job(run).get("id"),
        **{k: result.get(k) for k in keys},
    }
    value["lora"] = str(run.result) if run.result.exists() else None
    value["checkpoints"] = complete_checkpoints(run)
    return value


def train(
    dataset: Annotated[str, typer.Argument(help="Id of the data set (see: dataset list), or a folder with WebDataset shards.")],
    preset: Annotated[str, typer.Option(help="Preset (see: backends).")] = DEMO_PRESET,
    setting: Annotated[list[str], typer.Option("--set", "-s", help="A setting to change, as name=value. Repeat for more.")] = [],  # noqa: B006
    launch: Annotated[
        list[str], typer.Option("--launch", "-l", help="Where it runs, as name=value: launcher=slurm, num_machines=2. Repeat for more.")
    ] = [],  # noqa: B006
    name: Annotated[str, typer.Option(help="Name of the run.")] = "",
    wait: WaitOption = True,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains on a data set: a LoRA of a subject or a style, a whole model, or edits from pairs; the preset decides."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        run = begin_run(studio, dataset, preset, parse_settings(setting), name, parse_settings(launch), quiet=as_json)
        if not wait:
            emit({"run": run.id}, f"The run {run.id} has started. Follow it with: runs show {run.id}", as_json=as_json)
            return
        follow_run(studio, run.id, quiet=as_json)
        value = summary(studio, run.id)
        emit(value, _sentence(value), as_json=as_json)


def _sentence(value: dict[str, Any]) -> str:
    if value["heldout_loss_ratio"] is None:
        return f"{value['run']} {value['state']} at step {value['steps'] or 0}."
    what = "LoRA" if str(value["lora"]).endswith(LORA) else "Model"
    verdict = {True: "It has learnt.", False: "It has not learnt enough.", None: "It is done."}[value["learned"]]
    return (
        f"{verdict} {value['steps']} steps in {value['seconds']:.0f} s ({value['steps_per_s']:.2f} steps/s). Loss on the pictures "
        f"that were held out: {value['heldout_loss_start']:.3f} -> {value['heldout_loss_end']:.3f}, "
        f"{100 * value['heldout_loss_ratio']:.0f} % of the start.\n{what}: {value['lora']}"
    )


def demo(
    subject: Annotated[str, typer.Option(help="zog or glorp, the sample pictures.")] = "zog",
    preset: Annotated[str, typer.Option(help="Preset to train with.")] = DEMO_PRESET,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """The main job without a browser: sample pictures in, a LoRA that has visibly learnt out. Exit code 1 where it has not."""
    with plain_errors(as_json=as_json):
        begun = time.monotonic()
        studio = open_studio(workspace)
        info = create_sample_dataset(studio.datasets, subject)
        if not as_json:
            people.print(f"{info.num_pictures} pictures of {info.name}, captioned. Training the pocket model on this machine.")
        changes: dict[str, Any] = {"seed": seed, **({"max_train_steps": steps} if steps else {})}
        run = begin_run(studio, info.id, preset, changes, f"{subject}-demo", quiet=as_json)
        follow_run(studio, run.id, quiet=as_json)
        value = {**summary(studio, run.id), "dataset": info.id}
        value["training_seconds"], value["seconds"] = value["seconds"], round(time.monotonic() - begun, 1)
        folder = RunDir(studio.workspace.run(run.id))
        value["samples"] = [str(p) for p in sorted(folder.samples.rglob("*.png"))]
        emit(value, f"{_sentence(value)}\nSamples: {folder.samples}", as_json=as_json)
    if not value["learned"]:
        raise typer.Exit(1)


def backends(as_json: JsonOption = False) -> None:
    """Lists what can be trained (family x method) with the presets of each, and what cannot, with the reason."""
    presets = load_presets()
    value: list[dict[str, Any]] = [
        {"backend": b.name, "title": b.title, "presets": [p.key for p in presets if p.backend == b.name]} for b in BACKENDS.values()
    ]
    refused = [{"backend": name, "refused": reason} for name, reason in REFUSED.items()]
    lines = []
    for backend in BACKENDS.values():
        lines.append(f"{backend.name}: {backend.title}")
        lines += [f"    {p.key:<44}{_memory(p):>10}{_time(p):>9}" for p in presets if p.backend == backend.name]
    lines += [f"No {name}: {reason}" for name, reason in REFUSED.items()]
    emit(value + refused, escape("\n".join(lines)), as_json=as_json)


def _memory(preset: Preset) -> str:
    each = f"{preset.gpu_memory_gb:g} GB" if preset.gpu_memory_gb else "no GPU"
    return f"{preset.gpus} x {each}" if preset.gpus > 1 else each


def _time(preset: Preset) -> str:
    return f"{preset.minutes:g} min" if preset.minutes <= 120 else f"{preset.minutes / 60:.0f} h"


@runs_app.command("list")
def list_(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Lists the runs, newest first."""
    with plain_errors(as_json=as_json):
        found = open_studio(workspace).runs.list()
        value = [
            {"run": r.id, "name": r.name, "state": r.state, "step": r.step, "steps": r.max_steps, "dataset": r.dataset_id} for r in found
        ]
        rows = [[r.id, r.state, f"{r.step} of {r.max_steps}", r.dataset_id, r.reason] for r in found]
        emit(value, table(["run", "state", "step", "data set", ""], rows), as_json=as_json)


@runs_app.command("show")
def show(run: RunArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Shows one run: state, losses, checkpoints."""
    with plain_errors(as_json=as_json):
        value = summary(open_studio(workspace), run)
        emit(value, table(["", ""], [[k, v] for k, v in value.items()]), as_json=as_json)


@runs_app.command("stop")
def stop(run: RunArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Stops a run; it saves first."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        stop_run(studio.workspace, run)
        info = follow_run(studio, run, quiet=as_json)
        emit({"run": run, "state": info.state, "step": info.step}, f"{run} {info.state} at step {info.step}.", as_json=as_json)


@runs_app.command("resume")
def resume(run: RunArgument, wait: WaitOption = True, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Goes on from the newest complete checkpoint."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        resume_run(studio.workspace, run)
        if wait:
            follow_run(studio, run, quiet=as_json)
        value = summary(studio, run)
        emit(value, _sentence(value), as_json=as_json)
