"""The real trainer on a base model of ten thousand random numbers: a run in two seconds, killed wherever a test likes.

Trainers are forked from a warm parent (multiprocessing's forkserver), which has torch and diffusers imported already.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from backends.contract.base_models import MODELS
from backends.contract.config import parse_config, write_config
from backends.contract.events import read_events
from backends.contract.rundir import RunDir
from backends.registry import find_backend

BACKEND = "sdxl/text_to_image"
PRELOAD = ["backends.train", "backends.engine.running", "backends.families.sdxl", "backends.methods.text_to_image", "diffusers.pipelines"]
DEADLINE_S = 120

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOAD)


def build_base(folder: Path, *, prediction_type: str = "v_prediction", seed: int = 0) -> Path:
    """A random SDXL-shaped pipeline in the diffusers layout."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=(1, 2),
        cross_attention_dim=16,
        transformer_layers_per_block=1,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=8 + 6 * 4,
    )
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, latent_channels=4, **blocks)
    text = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 1, "num_hidden_layers": 2, "vocab_size": 1909}
    text |= {"max_position_embeddings": 24, "projection_dim": 8, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    terminal = {"rescale_betas_zero_snr": prediction_type == "v_prediction", "timestep_spacing": "trailing"}
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(CLIPTextConfig(**text)),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**text)),
        tokenizer=CLIPTokenizer.from_pretrained(MODELS / "pocket-sdxl" / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(MODELS / "pocket-sdxl" / "tokenizer_2"),
        unet=unet,
        scheduler=DDIMScheduler(prediction_type=prediction_type, beta_schedule="scaled_linear", clip_sample=False, **terminal),
    )
    pipeline.save_pretrained(folder)
    return folder


def draw_pictures(folder: Path, sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Random pictures of the given sizes, as rows of a manifest; the first one is held out."""
    folder.mkdir(parents=True, exist_ok=True)
    random, rows = np.random.default_rng(0), []
    for number, (width, height) in enumerate(sizes):
        path = folder / f"{number:02d}.png"
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        identity = hashlib.sha256(path.read_bytes()).hexdigest()
        row = {"id": identity, "file": str(path), "caption": f"zog on a {['red', 'blue', 'green'][number % 3]} background"}
        rows.append({**row, "width": width, "height": height, "held_out": number == 0})
    return rows


def make_run(root: Path, base: Path, *, sizes: list[tuple[int, int]] | None = None, rows: Any = None, **settings: Any) -> RunDir:
    """A run folder, ready to start: six steps, a checkpoint every two."""
    run = RunDir(root)
    root.mkdir(parents=True)
    rows = draw_pictures(root / "own", sizes or [(64, 64)] * 6) if rows is None else rows
    run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "pretrained_model_name_or_path": str(base),
        "resolution": 64,
        "train_batch_size": 2,
        "max_train_steps": 6,
        "rank": 2,
        "learning_rate": 1e-2,
        "seed": 1,
        "checkpointing_steps": 2,
        "sample_every": 0,
        "held_out_every": 2,
        "log_every": 2,
        "sample_steps": 1,
        "report_to": "none",
        "lr_warmup_steps": 0,
    }
    config = parse_config(find_backend(BACKEND).config, values | settings)
    write_config(run.config, config, BACKEND, {})
    return run


def copy_run(run: RunDir, root: Path) -> RunDir:
    """The same run in another folder, before its start."""
    root.mkdir(parents=True)
    for path in (run.config, run.manifest):
        shutil.copy(path, root)
    return RunDir(root)


def start(run: RunDir, *arguments: str, fault: str = "", **environment: str) -> Any:
    """A trainer process on the run; `exitcode` as everywhere (-9 after signal 9)."""
    environment = {"OMP_NUM_THREADS": "1", "DARKROOM_FAULT": fault, "HF_HUB_OFFLINE": "1", **environment}
    process = _context.Process(target=_be_trainer, args=(str(run.config), list(arguments), environment))
    process.start()
    return process


def train(run: RunDir, *arguments: str, fault: str = "", **environment: str) -> int:
    """Runs a trainer to its end; gives the exit code, negative for a signal."""
    process = start(run, *arguments, fault=fault, **environment)
    process.join(DEADLINE_S)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the trainer did not end:\n" + run.log.read_text())
    return process.exitcode


def train_ranks(run: RunDir, *arguments: str, ranks: int = 2, fault: str = "") -> list[int]:
    """Runs one trainer a rank over gloo, with the environment that torchrun gives; the exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    shared |= {"LOCAL_WORLD_SIZE": str(ranks), "GLOO_SOCKET_IFNAME": "lo"}
    started = [start(run, *arguments, fault=fault, **shared, RANK=str(r), LOCAL_RANK=str(r)) for r in range(ranks)]
    codes = []
    for process in started:
        process.join(DEADLINE_S)
        if process.exitcode is None:
            for other in started:
                other.kill()
            raise AssertionError("a rank did not end:\n" + run.log.read_text())
        codes.append(process.exitcode)
    return codes


def _be_trainer(config: str, arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    log = os.open(Path(config).parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    from backends import train as trainer
    from backends.engine import faults

    faults.arm()
    sys.exit(trainer.main(["--config", config, *arguments]))


def events_of(run: RunDir, kind: str) -> list[dict[str, Any]]:
    """Events of one kind, in order."""
    return [event for event in read_events(run.events) if event["t"] == kind]


def last_state(run: RunDir) -> dict[str, Any]:
    """The last state event."""
    return events_of(run, "state")[-1]


def difference(one: Path, other: Path) -> float:
    """Largest difference between two safetensors files with the same tensors."""
    a, b = safetensors.torch.load_file(one), safetensors.torch.load_file(other)
    assert a.keys() == b.keys()
    return max((a[k].double() - b[k].double()).abs().max().item() for k in a)
