"""The stages in their order. Each leaves its result on disk and is skipped when that is already there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

from assets.build import base, blip, vae
from assets.build.evaluate import MODELS, write_report
from assets.build.icons import fetch_packages
from assets.build.latents import encode_drawings, load_latents
from assets.build.render import load_drawings, render
from assets.build.settings import Settings
from assets.build.tokenizer import build_tokenizer

log = logging.getLogger(__name__)

NAMES = ("pocket-sdxl", "pocket-blip")


def make_icons(settings: Settings) -> None:
    """Icon packages in `work/icons`; the only stage that needs the internet."""
    fetch_packages(settings.work / "icons")


def make_drawings(settings: Settings) -> None:
    """Arrays of all drawings in `work/drawings`."""
    if not (settings.work / "drawings" / "glyphs.npz").exists():
        render(settings.work / "icons", settings.work / "drawings", seed=settings.seed, num_others=settings.num_others)


def make_vae(settings: Settings) -> None:
    """The trained autoencoder in `work/vae/model`."""
    if not (settings.work / "vae" / "model").is_dir():
        drawings = load_drawings(settings.work / "drawings")
        trained = vae.train_vae(settings, drawings, settings.work / "vae")
        log.info("vae: %.1f dB", vae.compute_psnr(trained.module, drawings))


def make_latents(settings: Settings) -> None:
    """All training pictures as latents, and the centred autoencoder, in `work/latents`."""
    if not (settings.work / "latents" / "latents.safetensors").exists():
        drawings = load_drawings(settings.work / "drawings")
        encode_drawings(settings.work / "vae" / "model", drawings, settings.work / "latents", views=settings.base.views, seed=settings.seed)


def make_base(settings: Settings) -> None:
    """The finished pipeline in `out/pocket-sdxl`."""
    target = settings.out / "pocket-sdxl"
    if not target.is_dir():
        tokenizer = build_tokenizer(load_drawings(settings.work / "drawings").names, settings.base.num_merges)
        trained = base.train_base(settings, load_latents(settings.work / "latents"), tokenizer, settings.work / "base")
        base.save_base(cast(base.Base, trained.module), tokenizer, settings.work / "latents" / "vae", _unfinished(target))
        _unfinished(target).rename(target)


def make_blip(settings: Settings) -> None:
    """The finished captioner in `out/pocket-blip`."""
    target = settings.out / "pocket-blip"
    if not target.is_dir():
        blip.train_blip(settings, load_drawings(settings.work / "drawings"), settings.work / "blip", _unfinished(target))
        _unfinished(target).rename(target)


def make_report(settings: Settings) -> None:
    """Contact sheets and counts of the new models in `out`, beside the counts of those that are shipped."""
    new = write_report(settings.out, settings.out)
    shipped = write_report(MODELS, settings.out / "shipped")
    for name in new:
        counts = [f"{report[name]['concept_right']} of {report[name]['pictures']}" for report in (new, shipped)]
        log.info("%s: the new models paint %s, the shipped ones %s", name, *counts)


def install(settings: Settings, models: Path = MODELS) -> None:
    """Puts the new models in the place of those in `models`; does nothing unless both are finished.

    Raises:
        FileNotFoundError: When one is not built yet; says which and how to build it.
    """
    for name in NAMES:
        if not (settings.out / name).is_dir():
            raise FileNotFoundError(f"{settings.out / name} is not there. Build it first: python -m assets.build --all")
    for name in NAMES:
        part = _unfinished(models / name)
        shutil.copytree(settings.out / name, part)
        shutil.rmtree(models / name, ignore_errors=True)
        part.rename(models / name)


def _unfinished(target: Path) -> Path:
    """A folder beside the target: a model appears under its name only when it is whole."""
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


STAGES: dict[str, Callable[[Settings], None]] = {
    "icons": make_icons,
    "drawings": make_drawings,
    "vae": make_vae,
    "latents": make_latents,
    "base": make_base,
    "blip": make_blip,
    "report": make_report,
}
