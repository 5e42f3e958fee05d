"""What the hub may answer, by a small server in its place: the library's real exceptions become sentences, and no token leaks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backends.contract.base_models import MODELS
from tests.backends.engine import toy
from tests.hub_server import GOOD_TOKEN, Hub, serve_hub
from tests.rules.source import ROOT

BAD_TOKEN = "hf_" + "bad1" * 8
PAGE = "https://huggingface.co/me/gated"
POCKET = MODELS / "pocket-sdxl"
FIELD, VAE_FIELD = "pretrained_model_name_or_path", "pretrained_vae_model_name_or_path"
CASES: dict[str, dict[str, Any]] = {
    "public": {"source": "me/pocket"},
    "gated, no token": {"source": "me/gated"},
    "gated, token not accepted": {"source": "me/gated", "token": BAD_TOKEN},
    "gated, good token": {"source": "me/gated", "token": GOOD_TOKEN},
    "no such, no token": {"source": "me/nothing"},
    "no such, token": {"source": "me/nothing", "token": GOOD_TOKEN},
    "token that ended": {"source": "me/pocket", "token": BAD_TOKEN},
    "no such revision": {"source": "me/pocket", "revision": "dev"},
    "no such variant": {"source": "me/pocket", "variant": "fp16"},
    "variant": {"source": "me/half", "variant": "fp16"},
    "no diffusers layout": {"source": "me/file"},
    "another family": {"source": "me/other"},
    "hub is down": {"source": "me/down"},
    "too many requests": {"source": "me/busy"},
    "vae of its own": {"source": "me/pocket", "vae_source": "me/vae"},
    "vae of a whole model": {"source": "me/pocket", "vae_source": "me/pocket"},
    "vae in a folder": {"source": "me/pocket", "vae_source": "me/pocket/vae"},
    "vae of another kind": {"source": "me/pocket", "vae_source": "me/narrow"},
    "vae that is gated": {"source": "me/pocket", "vae_source": "me/gated"},
    "rest of a file": {"source": f"{POCKET / 'unet' / 'diffusion_pytorch_model.safetensors'} + me/pocket"},
    "rest that is gated": {"source": f"{POCKET / 'unet' / 'diffusion_pytorch_model.safetensors'} + me/gated"},
    "full disk": {"source": "me/pocket", "file_limit": 400_000},
    "safety checker": {"source": "me/sd15", "kind": "StableDiffusionPipeline"},
}


def call_loader(cases: list[dict[str, Any]], home: Path, **environment: str) -> list[dict[str, Any]]:
    """What becomes of each case, in a process of its own, because the hub's library reads its settings when it is imported."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("HF_", "HUGGING"))}
    known = {**inherited, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "tests.backends.families.load_cases"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(cases), env=known, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not any(token in done.stderr for token in (GOOD_TOKEN, BAD_TOKEN))
    return json.loads(done.stdout)


def build_case(name: str, wish: dict[str, Any], folder: Path) -> dict[str, Any]:
    options = {n: v for n, v in wish.items() if n not in ("token", "file_limit", "kind")}
    options["cache_dir"] = str(folder / name.replace(" ", "_"))
    return {"options": options, "environment": {"HF_TOKEN": wish.get("token")}, **{n: wish[n] for n in ("file_limit", "kind") if n in wish}}


@pytest.fixture(scope="module")
def offered(toy_base, tmp_path_factory) -> dict[str, Path]:
    """Repositories as folders."""
    root = tmp_path_factory.mktemp("repositories")
    narrow = toy_base("sdxl") / "vae"
    sd15 = shutil.copytree(MODELS / "pocket-sd15", root / "sd15")
    index = json.loads((sd15 / "model_index.json").read_text())
    checker = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (sd15 / "model_index.json").write_text(json.dumps(index | checker))
    (sd15 / "safety_checker").mkdir()
    (sd15 / "safety_checker" / "model.safetensors").write_bytes(bytes(100))
    half = shutil.copytree(POCKET, root / "half")
    for path in half.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    (root / "file").mkdir()
    shutil.copy(POCKET / "unet" / "diffusion_pytorch_model.safetensors", root / "file" / "model.safetensors")
    folders = {
        "pocket": POCKET,
        "gated": POCKET,
        "vae": POCKET / "vae",
        "narrow": narrow,
        "sd15": sd15,
        "half": half,
        "file": root / "file",
        "other": MODELS / "pocket-sd15",
    }
    return {f"me/{name}": folder for name, folder in folders.items()}


@pytest.fixture(scope="module")
def answers(offered, tmp_path_factory) -> dict[str, Any]:
    """What became of every case, and what the hub was asked for."""
    folder = tmp_path_factory.mktemp("caches")
    with serve_hub(Hub(offered, gated={"me/gated"}, broken={"me/down": 503, "me/busy": 429})) as hub:
        cases = [build_case(name, wish, folder) for name, wish in CASES.items()]
        found = call_loader(cases, folder / "home", HF_ENDPOINT=hub.address)
    return {"asked": [path for _, path, _ in hub.asked], **dict(zip(CASES, found, strict=True))}


REFUSALS = {
    "gated, no token": ("“me/gated” is gated", PAGE, "accept it, and start the studio with a token of yours in HF_TOKEN"),
    "gated, token not accepted": ("the token in HF_TOKEN does not open it", PAGE, "accept the licence"),
    "no such, no token": ("There is no “me/nothing” on the hub, or it is private", "Check the spelling"),
    "no such, token": ("no “me/nothing” on the hub that the token in HF_TOKEN may see",),
    "token that ended": ("did not accept the token in HF_TOKEN for “me/pocket”", "huggingface.co/settings/tokens"),
    "no such revision": ("“me/pocket” has no revision “dev”", "or leave Revision empty"),
    "no such variant": ("no weights of the variant “fp16”", "Leave Variant empty", "twice the download"),
    "no diffusers layout": ("“me/file” is not in the diffusers layout", "one .safetensors file, fetch that and give its path"),
    "another family": ("“me/other” is an SD 1.5; SDXL is needed here", "a training for SD 1.5"),
    "hub is down": ("a fault of its own (status 503)", "Start again in some minutes"),
    "too many requests": ("asks for a pause", "Wait some minutes"),
    "vae of another kind": ("“me/narrow” makes latents with 4 channels; SDXL reads 8",),
    "vae that is gated": ("“me/gated” is gated", PAGE),
    "rest that is gated": ("“me/gated” is gated", PAGE),
    "full disk": ("The disk is full", "“me/pocket” could not be fetched whole", "under “Download folder”"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_hub_refuses_is_said_with_the_way_out(case, answers):
    text = answers[case]["text"]
    for part in REFUSALS[case]:
        assert part in text
    assert answers[case]["field"] == (VAE_FIELD if case.startswith("vae") else FIELD)
    assert GOOD_TOKEN not in text and BAD_TOKEN not in text
    assert "Error" not in text and "Traceback" not in text and "127.0.0.1" not in text


@pytest.mark.slow
@pytest.mark.parametrize("case", [name for name in CASES if name not in REFUSALS])
def test_what_the_hub_gives_is_loaded(case, answers):
    assert {"unet", "vae", "text_encoder"} <= set(answers[case]["parts"])


@pytest.mark.slow
def test_what_is_not_used_is_not_fetched(answers):
    """A safety checker, weights beside no model_index.json, and all of a model of another family."""
    weights = [path for path in answers["asked"] if path.endswith(".safetensors")]
    assert [path for path in weights if "safety_checker" in path or path.startswith(("/me/file/", "/me/other/"))] == []
    assert [path for path in weights if path.startswith("/me/sd15/resolve")]


@pytest.mark.slow
def test_without_a_hub_what_was_fetched_loads_and_the_rest_is_refused(offered, tmp_path):
    """What is fetched here is gated, and opened by a token in a private file."""
    token = tmp_path / "hf_token"
    token.write_text(GOOD_TOKEN)
    token.chmod(0o600)
    fetched, absent = (build_case("kept", {"source": source}, tmp_path) for source in ("me/gated", "me/half"))
    with serve_hub(Hub(offered, gated={"me/gated"})) as hub:
        [answer] = call_loader([fetched], tmp_path / "home", HF_ENDPOINT=hub.address, HF_TOKEN_PATH=str(token))
    assert "unet" in answer["parts"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    first, second = call_loader([fetched, absent], tmp_path / "home", HF_ENDPOINT=nobody)
    assert "unet" in first["parts"]
    assert "“me/half” is not on this machine, and the hub cannot be reached" in second["text"]
    first, second = call_loader([fetched, absent], tmp_path / "home", HF_ENDPOINT=nobody, HF_HUB_OFFLINE="1")
    assert "unet" in first["parts"]
    assert "HF_HUB_OFFLINE forbids to fetch it" in second["text"] and "start from a Pocket model" in second["text"]


@pytest.mark.slow
def test_a_run_on_a_gated_model_writes_the_token_nowhere(toy_base, tmp_path):
    """One run that the token opens, one that it does not: settings, events, log, checkpoint, trackers."""
    runs = [toy.make_run(tmp_path / name, Path("me/gated"), max_train_steps=1, report_to="tensorboard") for name in ("open", "shut")]
    with serve_hub(Hub({"me/gated": toy_base("sdxl")}, gated={"me/gated"})) as hub:
        for run, token in zip(runs, (GOOD_TOKEN, BAD_TOKEN), strict=True):
            known = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HOME": str(run.root / "home"), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "backends.train", "--config", str(run.config)]
            done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, timeout=300, check=False)
            run.log.write_bytes(done.stdout + done.stderr)
    assert toy.last_state(runs[0])["state"] == "finished", runs[0].log.read_text()[-3000:]
    assert "the token in HF_TOKEN does not open it" in toy.last_state(runs[1])["reason"]
    assert {token for _, _, token in hub.asked} >= {GOOD_TOKEN, BAD_TOKEN}
    written = [path for run in runs for path in run.root.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert [path for path in written if any(token.encode() in path.read_bytes() for token in (GOOD_TOKEN, BAD_TOKEN))] == []
