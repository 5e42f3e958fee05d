"""The stages in their order. Each leaves its result on disk and is skipped when that is already there."""

from __future__ import annotations

import copy
import filecmp
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from diffusers import FluxTransformer2DModel

from assets.build import base, blip, distil, flux, sd15, vae
from assets.build.concepts import FAMILY_THINGS
from assets.build.evaluate import MODELS, write_report
from assets.build.icons import fetch_packages
from assets.build.latents import encode_drawings, encode_things, load_latents
from assets.build.render import load_drawings, render
from assets.build.settings import Settings
from assets.build.tokenizer import build_tokenizer

log = logging.getLogger(__name__)

NAMES = ("pocket-sdxl", "pocket-blip", "pocket-sd15", "pocket-flux")
# Whose VAE is the base's, and is stored there only.
FAMILIES = ("pocket-sd15", "pocket-flux")
VAE_WEIGHTS = Path("vae") / "diffusion_pytorch_model.safetensors"


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


def take_shipped(settings: Settings) -> None:
    """Not part of a whole building: the shipped base and captioner in `out`, so that the families can be built on them."""
    for name in NAMES:
        if name not in FAMILIES and not (settings.out / name).is_dir():
            shutil.copytree(MODELS / name, _unfinished(settings.out / name))
            _unfinished(settings.out / name).rename(settings.out / name)


def make_things(settings: Settings) -> None:
    """The pictures that the families are trained on, as latents of the finished base's VAE, in `work/things`."""
    if not (settings.work / "things" / "latents.safetensors").exists():
        encode_things(
            settings.out / "pocket-sdxl" / "vae",
            load_drawings(settings.work / "drawings"),
            settings.work / "things",
            things=FAMILY_THINGS,
            views=settings.base.views,
            seed=settings.seed,
        )


def make_sd15(settings: Settings) -> None:
    """The finished pipeline in `out/pocket-sd15`."""
    source, target = settings.out / "pocket-sdxl", settings.out / "pocket-sd15"
    if not target.is_dir():
        trained = sd15.train_sd15(settings, load_latents(settings.work / "things"), source, settings.work / "sd15")
        sd15.save_sd15(cast(sd15.Sd15, trained.module), source, _unfinished(target))
        _share_vae(_unfinished(target), source)
        _unfinished(target).rename(target)


def make_flux(settings: Settings) -> None:
    """The finished pipeline in `out/pocket-flux`; without guidance of its own it also stays in `work/flux/plain`."""
    source, target = settings.out / "pocket-sdxl", settings.out / "pocket-flux"
    if not target.is_dir():
        latents = load_latents(settings.work / "things")
        plain = cast(flux.Flux, flux.train_flux(settings, latents, source, settings.work / "flux").module)
        flux.save_flux(copy.deepcopy(plain), source, settings.work / "flux" / "plain")
        guided = distil.train_guidance(settings, latents, plain, settings.work / "distil").module
        flux.save_flux(plain, source, _unfinished(target), transformer=cast(FluxTransformer2DModel, guided))
        _share_vae(_unfinished(target), source)
        _unfinished(target).rename(target)


def _share_vae(model: Path, base_folder: Path) -> None:
    """Puts a relative link in the place of the model's VAE weights, which are the base's.

    Raises:
        ValueError: When they are not.
    """
    own = model / VAE_WEIGHTS
    if own.read_bytes() != (base_folder / VAE_WEIGHTS).read_bytes():
        raise ValueError(f"{own} differs from the base's in {base_folder}. Delete {model} and build it again on this base.")
    own.unlink()
    own.symlink_to(Path("..") / ".." / base_folder.name / VAE_WEIGHTS)


def make_report(settings: Settings) -> None:
    """Contact sheets and counts of the new models in `out`, beside the counts of those that are shipped."""
    new = write_report(settings.out, settings.out)
    shipped = write_report(MODELS, settings.out / "shipped")
    for name in new:
        counts = [f"{report[name]['concept_right']} of {report[name]['pictures']}" for report in (new, shipped)]
        log.info("%s: the new models paint %s, the shipped ones %s", name, *counts)


def install(settings: Settings, models: Path = MODELS, names: Sequence[str] = NAMES) -> None:
    """Puts the new models in the place of those in `models`; does nothing unless all of them are finished.

    Raises:
        FileNotFoundError: When one is not built yet; says which and how to build it.
        ValueError: When a family would be left beside a base on whose VAE it was not trained.
    """
    for name in names:
        if not (settings.out / name).is_dir():
            raise FileNotFoundError(f"{settings.out / name} is not there. Build it first: python -m assets.build --all")
    alike = (settings.out / "pocket-sdxl" / VAE_WEIGHTS, models / "pocket-sdxl" / VAE_WEIGHTS)
    apart = {*FAMILIES, "pocket-sdxl"} - set(names)
    if 0 < len(apart) < len(FAMILIES) + 1 and not filecmp.cmp(*alike, shallow=False):
        raise ValueError(f"the new models have a new VAE, which {', '.join(sorted(apart))} would not fit. Install all of them together.")
    for name in names:
        part = _unfinished(models / name)
        shutil.copytree(settings.out / name, part, symlinks=True)
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
    "things": make_things,
    "sd15": make_sd15,
    "flux": make_flux,
    "report": make_report,
}
# Instead of vae, latents, base and blip: the families on the base that is shipped.
OTHER_STAGES: dict[str, Callable[[Settings], None]] = {"shipped": take_shipped}
