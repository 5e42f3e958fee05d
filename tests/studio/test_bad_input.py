"""What cannot become a run is told in one sentence before anything starts: by the Train page's door and by the command line alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from backends.contract.base_models import BASE_MODELS, MODELS
from studio.cli.root import app
from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_files, ingest_folder
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs import preflight
from studio.runs.hardware import Gpu, describe_hardware
from studio.web.context import Settings
from studio.web.server import build_app
from studio.workers.loras import LoraShelf
from studio.workspace import Workspace, open_workspace
from tests import tensor_files
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import draw_scene, write_folders

SUBJECT, DREAMBOOTH = "text_to_image/pocket_subject", "dreambooth/pocket_subject"
BASE, VAE = "pretrained_model_name_or_path", "pretrained_vae_model_name_or_path"
PRIOR = {"with_prior_preservation": True, "instance_prompt": "a photo of zog dog", "class_prompt": "a photo of dog"}
NO_GPU, ONE_GPU = describe_hardware([], 2, 16.0), describe_hardware([Gpu("L40S", 48.0, 47.0)], 16, 64.0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """Pictures of a subject, and a file of each kind that somebody may take for a base model."""
    made = open_workspace(tmp_path_factory.mktemp("workspace"))
    create_sample_dataset(DatasetStore(made), "zog")
    for name in ("SD15", "SDXL", "REFINER", "SD2", "FLUX", "VAE"):
        tensor_files.write_holes(made.root / f"{name.lower()}.safetensors", getattr(tensor_files, name))
    key = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_"
    tensor_files.write_holes(made.root / "lora.safetensors", {f"{key}A.weight": (4, 2048), f"{key}B.weight": (640, 4)})
    return made


@pytest.fixture(scope="module")
def client(workspace):
    with TestClient(build_app(workspace, Settings()), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def refusal(workspace, client, monkeypatch, tmp_path):
    """Field -> sentence of a refused start; the same by both doors, and nothing was made."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))

    def ask(preset: str, values: dict[str, Any], *, dataset: str = "", hardware: Any = NO_GPU) -> dict[str, str]:
        monkeypatch.setattr(preflight, "probe_hardware", lambda: hardware)
        dataset = dataset or DatasetStore(workspace).list()[-1].id
        page = client.post("/api/train/start", json={"dataset": dataset, "preset": preset, "name": "x", "values": values})
        assert page.status_code == 400, page.text
        settings = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        line = CliRunner().invoke(app, ["train", dataset, "--preset", preset, *settings, "--workspace", str(workspace.root), "--json"])
        assert line.exit_code == 2 and "Traceback" not in line.output
        found, typed = page.json()["error"]["faults"], json.loads(line.stdout)["faults"]
        assert found == typed and not list(workspace.runs.iterdir())
        for fault in found:
            assert fault["text"].endswith((".", ".)")) and "\n" not in fault["text"] and str(workspace.root.parent) not in fault["text"]
        return {fault["field"]: fault["text"] for fault in found}

    return ask


def make_pairs(workspace: Workspace, folder: Any) -> tuple[DatasetStore, str]:
    store = DatasetStore(workspace)
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, write_folders(folder, 4, listed=True))
    return store, made


def spoil(case: str, store: DatasetStore, made: str, folder: Any) -> None:
    rows = store.pictures(made)
    if case == "missing half":
        (folder / "half").write_bytes(encode(draw_scene(9)))
        ingest_files(store, made, [("before/lonely.png", folder / "half")])
    elif case == "no instruction":
        set_caption(store, made, rows[0].id, "", rows[0].version)
    else:
        path = store.workspace.dataset(made) / rows[0].after.file
        with Image.open(path) as picture:
            picture.resize((96, 64)).save(path)


PAIRS = {
    "missing half": ["1 of 5 pairs is not complete: lonely", "Dataset page"],
    "no instruction": ["1 of 4 pairs has no instruction: 000", "Write what changes", "Captions page"],
    "two sizes": ["1 of 4 pictures", "000"],  # a file that was changed outside: none comes in so
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_that_are_none(workspace, refusal, tmp_path, case):
    store, made = make_pairs(workspace, tmp_path / "set")
    try:
        spoil(case, store, made, tmp_path)
        told = refusal("instruct_pix2pix/pocket15_edits", {}, dataset=made)["dataset"]
        assert all(word in told for word in PAIRS[case]), told
    finally:
        store.delete(made)


CASES: dict[str, tuple[str, dict[str, Any], Any, str, list[str]]] = {
    "a class prompt that is the subject's": (
        DREAMBOOTH, {**PRIOR, "class_prompt": "A photo of  zog dog"}, NO_GPU, "class_prompt",
        ["the same as that of the subject", "trigger word"]),
    "no class prompt": (DREAMBOOTH, {**PRIOR, "class_prompt": " "}, NO_GPU, "class_prompt", ["empty", "a photo of dog", "switch"]),
    "a file for class pictures": (
        DREAMBOOTH, {**PRIOR, "class_data_dir": __file__}, NO_GPU, "class_data_dir", ["is a file", "leave it empty"]),
    "class pictures nowhere": (
        DREAMBOOTH, {**PRIOR, "class_data_dir": "/no/such/place"}, NO_GPU, "class_data_dir", ["does not exist", "leave it empty"]),
    "4 bits on a CPU": (SUBJECT, {"quantize_base": "nf4"}, NO_GPU, "quantize_base", ["nf4", "needs a GPU", "Choose int8 or none"]),
    "fp16 on a CPU": (SUBJECT, {"mixed_precision": "fp16"}, NO_GPU, "mixed_precision", ["fp16", "needs a GPU", "Choose no"]),
    "class pictures in fp16 on a CPU": (
        DREAMBOOTH, {**PRIOR, "prior_generation_precision": "fp16"}, NO_GPU, "prior_generation_precision", ["needs a GPU", "Choose fp32"]),
    "more ranks than GPUs": (SUBJECT, {"num_processes": 8}, ONE_GPU, "num_processes", ["GPUs is 8", "has 1", "Set it to 1"]),
    "a base of another family": (SUBJECT, {BASE: "pocket-sd15"}, NO_GPU, BASE, ["family sd15", "Choose pocket-sdxl or sdxl"]),
    "a gated model": ("text_to_image/flux_subject_24gb", {}, ONE_GPU, BASE, ["is gated", "huggingface.co/black-forest", "HF_TOKEN"]),
    "another gated model": (
        "text_to_image/flux_subject_24gb", {BASE: "flux-schnell"}, ONE_GPU, BASE, ["FLUX.1-schnell", "HF_TOKEN"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_settings_that_cannot_be(refusal, case):
    preset, values, hardware, field, words = CASES[case]
    told = refusal(preset, values, hardware=hardware)
    assert all(word in told[field] for word in words), told


FILES = {
    "sd15": ["“sd15.safetensors” is an SD 1.5 checkpoint", "SDXL is needed here", "a training for SD 1.5"],
    "flux": ["“flux.safetensors” is a Flux transformer", "SDXL is needed here", "a training for Flux"],
    "refiner": ["“refiner.safetensors” is an SDXL refiner", "choose the base here"],
    "sd2": ["“sd2.safetensors”", "SDXL is needed here"],
    "vae": ["“vae.safetensors” is a VAE", "Another VAE"],
    "lora": ["“lora.safetensors” is a LoRA", "base model is needed"],
    "gone": ["There is no file", "Check the path"],
}


@pytest.mark.parametrize("name", FILES)
def test_one_file_that_is_no_base_model_of_this_family(workspace, refusal, monkeypatch, name):
    monkeypatch.chdir(workspace.root)  # sentences name what the person typed, and no folder above it
    told = refusal(SUBJECT, {BASE: f"{name}.safetensors", "resolution": 1024}, hardware=ONE_GPU)
    assert all(word in told[BASE] for word in FILES[name]), told


def test_a_folder_of_another_family_and_a_vae_that_is_none(workspace, refusal, monkeypatch):
    told = refusal(SUBJECT, {BASE: str(MODELS / "pocket-sd15")})
    assert "“pocket-sd15” is an SD 1.5; SDXL is needed here" in told[BASE] and "a training for SD 1.5" in told[BASE]
    monkeypatch.chdir(workspace.root)
    assert "a VAE is needed here" in refusal(SUBJECT, {VAE: "flux.safetensors"})[VAE]


LORAS = {
    "SDXL": ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_", 2048, ["pocket-sd15", "sd15", "flux-dev"]),
    "SD 1.5": ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_", 768, ["sdxl", "pocket-flux"]),
    "Flux": ("transformer.transformer_blocks.0.attn.to_k.lora_", 3072, ["sd15", "sdxl"]),
}


@pytest.mark.parametrize("family", LORAS)
def test_a_lora_of_another_family_before_anything_is_loaded(workspace, client, tmp_path, family):
    key, width, bases = LORAS[family]
    tensors = {f"{key}A.weight": (4, width), f"{key}B.weight": (640, 4)}
    path = tensor_files.write_holes(tmp_path / f"of {family}.safetensors", tensors)
    added = LoraShelf(workspace).add(path, path.name).key
    for base in bases:
        values = {"prompt": "a cat", "base_model": base, "loras": [{"key": added, "weight": 1}]}
        page = client.post("/api/generate", json={"values": values})
        settings = ["--lora", added, "--set", f"base_model={base}", "--workspace", str(workspace.root), "--json"]
        line = CliRunner().invoke(app, ["generate", "a cat", *settings])
        assert (page.status_code, line.exit_code) == (400, 2)
        told = page.json()["error"]
        assert told["field"] == "loras" and told["text"] == json.loads(line.stdout)["error"]
        name = BASE_MODELS[base].name
        assert f"was made for {family}; it does not fit {name}. Choose a LoRA that was trained from {name}." in told["text"]
