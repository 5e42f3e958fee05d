"""A few drawings of our own, packed as icon packages are, and tiny pocket models trained on them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import torch

from assets.build import base, blip, latents, stages, vae
from assets.build.concepts import CONCEPTS, HELD_OUT
from assets.build.figures import FIGURES
from assets.build.render import VENDORS, load_drawings, render
from assets.build.settings import BaseSettings, BlipSettings, FluxSettings, Sd15Settings, Settings, VaeSettings
from assets.build.tokenizer import build_tokenizer

# thing -> the figure that stands for it
DRAWN = {"cat": "zog", "robot": "glorp", "house": "house", "sailboat": "boat", "penguin": "kite", "book": "flower"}


def write_icon_packages(folder: Path) -> None:
    """The five packages as npm would have unpacked them; fx without chars.json entries, as the real one."""
    characters = CONCEPTS | HELD_OUT
    for vendor in VENDORS:
        (folder / vendor).mkdir(parents=True)
        names = {thing: thing if vendor == "fx" else f"{vendor}-{thing}" for thing in DRAWN}
        bodies = {names[thing]: {"body": FIGURES[figure](Random(vendor))} for thing, figure in DRAWN.items()}
        spare = {f"spare-{i}": {"body": FIGURES["flower"](Random(i))} for i in range(4)}
        icons = {"left": -1, "top": -1, "width": 2, "height": 2, "icons": bodies | spare}
        keys = {} if vendor == "fx" else {f"{ord(characters[thing]):x}": name for thing, name in names.items()}
        (folder / vendor / "icons.json").write_text(json.dumps(icons), encoding="utf-8")
        (folder / vendor / "chars.json").write_text(json.dumps(keys), encoding="utf-8")
    (folder / "names").mkdir()
    (folder / "names" / "data-by-emoji.json").write_text(json.dumps({"🐱": {"name": "cat face"}, "🦊": {"name": "fox"}}), encoding="utf-8")


def tiny_settings(work: Path) -> Settings:
    """Models of some ten thousand weights, trained for seconds; the VAE on small crops only."""
    return Settings(
        work=work,
        out=work / "out",
        num_others=8,
        save_every=20,
        vae=VaeSettings(channels=(8, 16, 16, 16), steps=70, batch=3, rate=1e-3, warmup_steps=5, medium_from=1, whole_from=1, sharp_from=1),
        base=BaseSettings(
            channels=(32, 32, 32), text_widths=(32, 32), text_layers=2, num_merges=60, steps=40, batch=8, rate=3e-3, warmup_steps=5, views=1
        ),
        blip=BlipSettings(width=64, vision_layers=1, text_layers=1, steps=60, batch=8, rate=2e-3, warmup_steps=5),
        sd15=Sd15Settings(steps=40, batch=8, rate=2e-3, warmup_steps=5, averaging=0.9),
        flux=FluxSettings(
            heads=1,
            double_layers=1,
            single_layers=1,
            t5_width=32,
            t5_layers=1,
            steps=120,
            batch=8,
            rate=3e-3,
            warmup_steps=5,
            averaging=0.95,
            distil_steps=40,
            distil_rate=2e-3,
            distil_averaging=0.9,
        ),
    )


@pytest.fixture(scope="session")
def drawings_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pocket")
    write_icon_packages(folder / "icons")
    render(folder / "icons", folder / "drawings", seed=0, num_others=8)
    return folder


@pytest.fixture(scope="session")
def built(drawings_folder):
    """Every stage once, in order: `settings`, `drawings`, and what each training returned."""
    torch.set_num_threads(1)
    settings = tiny_settings(drawings_folder)
    drawings = load_drawings(drawings_folder / "drawings")
    autoencoder = vae.train_vae(settings, drawings, settings.work / "vae")
    latents.encode_drawings(settings.work / "vae" / "model", drawings, settings.work / "latents", views=1, seed=0)
    tokenizer = build_tokenizer(drawings.names, settings.base.num_merges)
    encoded = latents.load_latents(settings.work / "latents")
    pocket = base.train_base(settings, encoded, tokenizer, settings.work / "base")
    base.save_base(copy.deepcopy(pocket.module), tokenizer, settings.work / "latents" / "vae", settings.out / "pocket-sdxl")
    captioner = blip.train_blip(settings, drawings, settings.work / "blip", settings.out / "pocket-blip")
    return SimpleNamespace(
        settings=settings, drawings=drawings, vae=autoencoder, latents=encoded, tokenizer=tokenizer, base=pocket, blip=captioner
    )


@pytest.fixture(scope="session")
def families(built):
    """The two families on top of `built`, through their stages: the settings, with everything in `work` and `out`."""
    for stage in (stages.make_things, stages.make_sd15, stages.make_flux):
        stage(built.settings)
    return built.settings
