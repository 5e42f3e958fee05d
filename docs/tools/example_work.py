"""Real work for the photographs of the pages: data sets as people bring them, and trainings that were really made on them.

Everything lies in `build/screenshots` and is made once; with two CPU cores that takes about ten minutes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageFilter

from docs.tools.serve import ROOT

WORK = ROOT / "build" / "screenshots"
SAMPLES = ROOT / "assets" / "samples"
LIVE_STEPS = 450
EDIT_STEPS = 300
FAILED = ("failed", "interrupted", "crashed", "stopped")


def studio(*arguments: str, state: str = "full") -> dict:
    """One command of `python -m studio` with its JSON answer.

    Raises:
        SystemExit: When the command or the run that it started failed: `ids.json` would keep it for good.
    """
    command = [sys.executable, "-m", "studio", *arguments, "--workspace", str(WORK / state), "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    answer: dict = {} if done.returncode else json.loads(done.stdout)
    if done.returncode or (answer.get("state") in FAILED and "stop" not in arguments):
        raise SystemExit(f"“python -m studio {' '.join(arguments)}” ended with code {done.returncode}: {done.stdout.strip()}")
    return answer


def make_data() -> dict[str, str]:
    """Ids of the data sets and runs in the workspace `build/screenshots/full`; what an earlier call has made is kept."""
    marker = WORK / "ids.json"
    ids: dict[str, str] = json.loads(marker.read_text()) if marker.exists() else {}
    # The last one stands first on Home.
    for names, make in (
        (("faulty", "halves", "drafts"), make_first_tries),
        (("glorp", "flux", "whole"), make_trainings),
        (("edits", "edit_run"), make_edits),
        (("dataset", "run"), make_subject),
    ):
        if not ids.keys() >= set(names):
            ids |= make()
            marker.write_text(json.dumps(ids))
    for name in ("faulty", "halves", "glorp", "edits", "dataset"):  # each time: a report of another version is told as an old one
        studio("check", ids[name])
    return ids


def make_subject() -> dict[str, str]:
    """The walk with the sample subject: trained, compared, and pictures drawn with it."""
    done = studio("demo", "--subject", "zog")
    studio("compare", done["run"])
    for prompt, seed in (("a cat on a blue background", 5), ("zog on a green background", 11), ("zog on a red background", 3)):
        studio("generate", prompt, "--lora", done["run"], "--seed", str(seed))
    for weight in (0, 0.5, 1.5, 1):
        studio("generate", "zog on a purple background", "--lora", f"{done['run']}={weight}", "--seed", "7")
    return {"dataset": done["dataset"], "run": done["run"]}


def make_trainings() -> dict[str, str]:
    """The second subject, learnt by Flux and by all weights of a model."""
    glorp = studio("dataset", "sample", "glorp")["dataset"]
    ids = {"glorp": glorp}
    for name, preset in (("flux", "text_to_image/pocketflux_subject"), ("whole", "text_to_image_full/pocket_whole")):
        ids[name] = studio("train", glorp, "--preset", preset, "--name", f"Glorp, {name}")["run"]
        studio("generate", "glorp on a blue background", "--lora", ids[name], "--seed", "5")
    return ids


def make_edits() -> dict[str, str]:
    """The sample pairs, and a model that learnt to edit from them, with the loss of each pair kept."""
    edits = studio("dataset", "sample", "edits")["dataset"]
    settings = {"max_train_steps": EDIT_STEPS, "debug_loss": "true"}
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    run = studio("train", edits, "--preset", "instruct_pix2pix/pocket15_edits", "--name", "Edits by words", *changes)["run"]
    studio("compare", run)
    for pair in read_pairs("edits_held_out")[:6]:
        studio("edit", str(SAMPLES / "edits_held_out" / pair["input_image"]), pair["instruction"], "--model", run)
    return {"edits": edits, "edit_run": run}


def make_first_tries() -> dict[str, str]:
    """Data sets that need somebody: pictures with faults, and pairs of which some are not complete."""
    faulty = studio("dataset", "import", str(make_faulty_pictures()), "--name", "Glorp, first try")["dataset"]
    halves = studio("dataset", "import", str(make_halves()), "--name", "Edits, first try")["dataset"]
    drafts = studio("dataset", "import", str(make_halves()), "--name", "Edits, to read")["dataset"]
    studio("dataset", "draft-instructions", drafts)
    return {"faulty": faulty, "halves": halves, "drafts": drafts}


def make_faulty_pictures() -> Path:
    """The second sample subject as people bring it: a picture twice, one blurred, one without a caption."""
    folder = empty(WORK / "glorp")
    shutil.copytree(SAMPLES / "glorp", folder)
    names = sorted(p.stem for p in folder.glob("*.png"))
    again, soft, bare = names[2], names[5], names[8]
    Image.open(folder / f"{again}.png").convert("RGB").save(folder / f"{again}_again.jpg", quality=88)
    shutil.copy(folder / f"{again}.txt", folder / f"{again}_again.txt")
    picture = Image.open(folder / f"{soft}.png").convert("RGB")
    picture.filter(ImageFilter.GaussianBlur(9)).save(folder / f"{soft}.png")
    (folder / f"{bare}.txt").unlink()
    return folder


def read_pairs(samples: str) -> list[dict[str, str]]:
    """The pairs of a folder of samples."""
    return [json.loads(line) for line in (SAMPLES / samples / "metadata.jsonl").read_text("utf-8").splitlines()]


def make_halves() -> Path:
    """Eighteen pairs in two folders: two pictures have not come, some instructions are missing, one pair shows no change."""
    folder = empty(WORK / "halves")
    for number, pair in enumerate(read_pairs("edits_held_out")[:18], start=1):
        for side, key in (("before", "input_image"), ("after", "output_image")):
            if (number, side) in ((4, "after"), (8, "before")):
                continue
            shown = pair["input_image"] if number == 11 else pair[key]
            target = folder / side / f"{number:02d}.webp"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SAMPLES / "edits_held_out" / shown, target)
        if number not in (2, 5, 9, 12):
            texts = folder / "instructions"
            texts.mkdir(exist_ok=True)
            (texts / f"{number:02d}.txt").write_text(pair["instruction"], "utf-8")
    return folder


def empty(folder: Path) -> Path:
    """The folder's path, with nothing there any more."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def start_live(dataset: str) -> str:
    """A second, longer run, in a copy of the workspace; returns its id when it is well under way."""
    shutil.copytree(WORK / "full", empty(WORK / "live"))
    run_id = str(
        studio("train", dataset, "--no-wait", "--name", "Zog, longer", "--set", f"max_train_steps={LIVE_STEPS}", state="live")["run"]
    )
    while (now := studio("runs", "show", run_id, state="live"))["step"] < LIVE_STEPS // 3:
        if now["state"] not in ("starting", "running"):
            raise SystemExit(f"The run ended: {now}")
        time.sleep(1)
    return run_id
