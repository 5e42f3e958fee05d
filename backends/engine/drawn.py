"""Pictures that the base model draws before training: those of a class, so that the class is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from backends.contract.chance import mix_seed
from backends.contract.errors import DarkroomError
from backends.engine.cache import compute_key
from backends.engine.faults import pass_failpoint
from backends.engine.gather import list_pictures, read_row
from backends.engine.ground import Ground, cache_folder
from backends.engine.sampling import SampleSettings, save_whole
from backends.families.loading import compute_identity
from backends.families.protocol import Family, SampleRequest
from backends.methods.protocol import PictureWish, Row

DTYPES = {"no": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def ensure_drawn(ground: Ground, family: Family, wish: PictureWish, settings: SampleSettings) -> list[Row]:
    """As many pictures as wished for, those that lack drawn by all ranks together; a folder keeps them for later runs.

    Raises:
        DarkroomError: When the folder cannot be made, a picture in it cannot be read, or this machine cannot draw as asked.
    """
    if wish.precision == "fp16" and ground.accelerator.device.type == "cpu":
        raise DarkroomError(
            "Precision of class pictures is fp16, which needs a GPU. Choose fp32 or bf16, or leave it empty.",
            field="prior_generation_precision",
        )
    folder = wish.folder or _own_folder(ground, family, wish, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkroomError(f"The folder {folder} for class pictures cannot be made: {error.strerror}.", field="class_data_dir") from None
    a = ground.accelerator
    a.wait_for_everyone()
    there = list_pictures(folder)
    a.wait_for_everyone()  # nobody may draw before everybody has looked, else the shares differ
    missing = name_missing(folder, there, wish.count)
    with _stored_for(family, DTYPES[wish.precision] if wish.precision else None):
        _draw(ground, family, missing[a.process_index :: a.num_processes], wish, settings=settings)
        a.wait_for_everyone()
        _draw(ground, family, [path for path in missing if not path.is_file()], wish, settings=settings)  # where no disk is shared
    a.wait_for_everyone()
    rows = [read_row(path, wish.prompt, field="class_data_dir") for path in list_pictures(folder)[: wish.count]]
    return [
        Row(r["id"], Path(r["file"]), r["caption"], r["width"], r["height"], held_out=False, extra=dict(wish.extra))
        for r in {r["id"]: r for r in rows}.values()
    ]


def name_missing(folder: Path, there: list[Path], count: int) -> list[Path]:
    """Names of the pictures that lack: the first ones that are not there, so that a killed drawing is completed as it was begun."""
    taken, names = set(there), (folder / f"drawn_{number:05d}.png" for number in range(count + len(there)))
    return [path for path in names if path not in taken][: max(0, count - len(there))]


def _own_folder(ground: Ground, family: Family, wish: PictureWish, settings: SampleSettings) -> Path:
    identity, precision = compute_identity(family.denoiser()[1]), wish.precision or ground.accelerator.mixed_precision
    shown = (wish.prompt, settings.width, settings.height, settings.steps, settings.guidance_scale)
    key = compute_key("class", identity, precision, *shown)
    return cache_folder(ground.run).parent / "drawn" / key[:32]


def _draw(ground: Ground, family: Family, paths: list[Path], wish: PictureWish, *, settings: SampleSettings) -> None:
    if not paths:
        return
    dtype = DTYPES[wish.precision] if wish.precision else None
    conditions, negative = ({n: t.to(dtype or t.dtype) for n, t in family.encode_prompts([text]).items()} for text in (wish.prompt, ""))
    for first in range(0, len(paths), wish.batch_size):
        ground.reporter.phase("drawing", first, len(paths), wish.prompt)
        if ground.accelerator.num_processes == 1:
            ground.check_stop()
        chosen = paths[first : first + wish.batch_size]
        request = SampleRequest(
            conditions={name: t.expand(len(chosen), *t.shape[1:]) for name, t in conditions.items()},
            negative={name: t.expand(len(chosen), *t.shape[1:]) for name, t in negative.items()},
            seeds=[mix_seed("class picture", path.name) % 2**32 for path in chosen],
            width=settings.width,
            height=settings.height,
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            is_cancelled=lambda: False,
            dtype=dtype,
        )
        for path, picture in zip(chosen, family.sample(request), strict=True):
            save_whole(picture, path)
            pass_failpoint("draw.picture")
    ground.reporter.phase("drawing", len(paths), len(paths), wish.prompt)


@contextmanager
def _stored_for(family: Family, dtype: torch.dtype | None) -> Iterator[None]:
    """The frozen weights in float32 while that is asked for, and afterwards bit for bit as before."""
    module = family.denoiser()[1]
    kept = next(module.parameters()).dtype
    if dtype != torch.float32 or kept == torch.float32 or family.quantized:
        yield
        return
    module.float()
    try:
        yield
    finally:
        module.to(kept)
