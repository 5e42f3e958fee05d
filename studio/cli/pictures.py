"""Commands that draw: compare, generate, edit; and export, which lays what was learnt out for other programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backends.contract.errors import DarkroomError
from backends.contract.rundir import LORA, RunDir
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.output import bar, emit, parse_settings, people, plain_errors
from studio.workers.compare import ComparisonStore
from studio.workers.draw_jobs import DrawJobs
from studio.workers.generator import Generator
from studio.workers.history import History
from studio.workers.inputs import InputShelf
from studio.workers.loras import LoraShelf

POLL_S = 0.2
_SETTINGS = "base_model, negative_prompt, guidance_scale, num_inference_steps, width, height"
LorasOption = Annotated[
    list[str],
    typer.Option("--lora", "-l", help="A result: id of a run, run@step, a key or a .safetensors file; =weight behind it. Repeat to mix."),
]
SettingsOption = Annotated[list[str], typer.Option("--set", "-s", help=f"{_SETTINGS}, sampler, refiner or refiner_share, as name=value.")]
EditSettingsOption = Annotated[
    list[str], typer.Option("--set", "-s", help=f"image_guidance_scale (keep the picture, 1 to 10), {_SETTINGS} or sampler, as name=value.")
]
SeedOption = Annotated[int, typer.Option(help="Seed.")]
CountOption = Annotated[int, typer.Option(help="So many pictures, from seeds that follow each other.")]
OutOption = Annotated[Path | None, typer.Option(help="A folder that gets copies. Default: only the workspace's outputs.")]


def wait_for(status: Callable[[], dict[str, Any] | None], what: str, *, quiet: bool) -> dict[str, Any]:
    """Shows a drawing job as a bar until it ends; its last status.

    Raises:
        DarkroomError: When it failed, with its reason.
    """
    with bar(quiet=quiet) as progress:
        task = progress.add_task(what, total=None)
        while True:
            now = status() or {}
            if now.get("total"):
                progress.update(task, completed=now["done"], total=now["total"])
            if now.get("state") != "running":
                break
            time.sleep(POLL_S)
    if now.get("state") != "done":
        raise DarkroomError(now.get("reason") or f"{what} ended as {now.get('state')}.")
    if not quiet:
        for notice in now.get("notices", []):
            people.print(f"  {notice}")
    return now


def compare(
    run: Annotated[str, typer.Argument(help="Id of the run (see: runs list).")],
    prompt: Annotated[
        list[str],
        typer.Option("--prompt", "-p", help="A row; of a run on edits a held-out pair by its instruction. Default: the run's own."),
    ] = [],  # noqa: B006
    step: Annotated[list[int], typer.Option("--step", help="A checkpoint. Default: all.")] = [],  # noqa: B006
    scale: Annotated[float, typer.Option(help="Weight of the LoRA, -2 to 2; of a whole model, 0 to 1.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="One seed for all pictures.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the PNG goes. Default: the run's folder.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draws checkpoints x prompts (or held-out pairs) at one seed into one labelled PNG; the base or the pair comes first."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        generator = Generator(studio.workspace)
        store = ComparisonStore(studio.workspace, generator)
        try:
            store.start(run, prompts=prompt or None, steps=step or None, seed=seed, scale=scale)
            status = wait_for(lambda: store.status(run), "Drawing", quiet=as_json)
            target = out or RunDir(studio.workspace.run(run)).root / "comparison.png"
            shutil.copyfile(store.export_png(run), target)
        finally:
            generator.release()
        best = next((c["step"] for c in status["columns"] if c["best"]), None)
        value = {"run": run, "sheet": str(target), "pictures": status["done"], "best_step": best, "columns": status["columns"]}
        emit(value, f"{status['done']} pictures are on {target}. Lowest held-out loss: step {best}.", as_json=as_json)


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    lora: LorasOption = [],  # noqa: B006
    setting: SettingsOption = [],  # noqa: B006
    seed: SeedOption = 42,
    count: CountOption = 1,
    out: OutOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draws a picture from words, with LoRAs or a whole trained model; every picture keeps its settings."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        uses = [_use(studio, item) for item in lora]
        _draw_and_tell(studio, {**parse_settings(setting), "prompt": prompt, "seed": seed, "loras": uses}, count, out, as_json=as_json)


def edit(
    image: Annotated[Path, typer.Argument(help="The picture to edit.")],
    instruction: Annotated[str, typer.Argument(help="What should become of it, such as: make the background blue")],
    model: Annotated[str, typer.Option("--model", "-m", help="Who edits: id of a run, run@step, a key or a .safetensors file.")],
    setting: EditSettingsOption = [],  # noqa: B006
    seed: SeedOption = 42,
    out: OutOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Edits a picture as an instruction says, by a model that was trained on edits."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        if not image.is_file():
            raise DarkroomError(f"There is no picture {image}. Give the path of a PNG, JPEG, WebP, BMP, TIFF or GIF.", field="image")
        values = {**parse_settings(setting), "prompt": instruction, "seed": seed, "loras": [_use(studio, model)]}
        picture = InputShelf(studio.workspace).add(image, image.name)
        _draw_and_tell(studio, {**values, "image": picture.id}, 1, out, as_json=as_json)


def _draw_and_tell(studio: Studio, values: dict[str, Any], count: int, out: Path | None, *, as_json: bool) -> None:
    paths = _draw(studio, values, count, quiet=as_json)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        paths = [Path(shutil.copy(p, out)) for p in paths]
    emit({"pictures": [str(p) for p in paths]}, "\n".join(str(p) for p in paths), as_json=as_json)


def _draw(studio: Studio, values: dict[str, Any], count: int, *, quiet: bool) -> list[Path]:
    generator = Generator(studio.workspace)
    jobs, history = DrawJobs(studio.workspace, generator), History(studio.workspace)
    try:
        job = jobs.start(values, num_pictures=count)
        status = wait_for(lambda: jobs.status(job), "Drawing", quiet=quiet)
    finally:
        generator.release()
    return [history.path(p["id"]) for p in status["pictures"] if p["ready"]]


def _use(studio: Studio, item: str) -> dict[str, Any]:
    """`zog-03@300=0.8` or `style.safetensors=0.8` -> the key of a result and its weight; a file is taken into the workspace once."""
    name, _, weight = item.partition("=")
    key = name if ":" in name else f"run:{name}"
    if name.endswith(".safetensors"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise DarkroomError(f"There is no file {path}. Give a .safetensors file, or the id of a run.", field="loras")
        key = LoraShelf(studio.workspace).take(path).key
    try:
        return {"key": key, "weight": float(weight) if weight else 1.0}
    except ValueError:
        raise DarkroomError(f"The weight in “{item}” is “{weight}”; it must be a number from -2 to 2.", field="loras") from None


def export(
    run: Annotated[str, typer.Argument(help="Id of the run (see: runs list).")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write; with --layout folder the folder.")],
    layout: Annotated[
        str,
        typer.Option(
            help="Of a LoRA kohya (ComfyUI, A1111, Forge) or diffusers, of a whole model file (the same programs) or folder "
            "(diffusers). Default: kohya, file."
        ),
    ] = "",
    step: Annotated[int | None, typer.Option(help="A checkpoint, instead of the kept or finished one.")] = None,
    dtype: Annotated[str, typer.Option(help="What a whole model is stored in: fp32, fp16 or bf16.")] = "fp32",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes what a run learnt, a LoRA or a whole model, in the layout of another program, with its recipe."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        info, folder = studio.runs.get(run), RunDir(studio.workspace.run(run))
        chosen = step if step is not None else info.kept_step
        source = folder.result if chosen is None else folder.weights(chosen)
        if not source.is_file():
            raise DarkroomError(f"The run {run} has nothing to export {'yet' if chosen is None else f'at step {chosen}'}.")
        layout = layout or ("kohya" if source.name == LORA else "file")
        command = [sys.executable, "-m", "backends.engine.export", str(source), str(out), "--layout", layout, "--dtype", dtype]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        if done.returncode:
            raise DarkroomError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "The export failed.")
        value = {"run": run, "layout": layout, "step": chosen, "path": str(out)}
        emit(value, f"Written to {out} in the {layout} layout.", as_json=as_json)
