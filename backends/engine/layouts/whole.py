"""A trained UNet together with what it was trained from: a folder that diffusers opens, or one file as ComfyUI wants it."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import safetensors.torch
import torch
from diffusers import DiffusionPipeline

from backends.contract import files
from backends.contract.adapter_file import read_adapter_header
from backends.contract.base_model_check import PIPELINES
from backends.contract.base_models import FIELD, parse_source
from backends.contract.config import read_config_document
from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file
from backends.contract.rundir import RunDir
from backends.contract.vae_source import FIELD as VAE_FIELD
from backends.contract.vae_source import parse_vae_source
from backends.engine.checkpoint import write_weights
from backends.engine.layouts import original
from backends.families.hub_errors import Wanted, explaining
from backends.families.loading import load_pipeline, load_vae
from backends.families.protocol import LoadOptions

WEIGHTS = "diffusion_pytorch_model.safetensors"
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_EDITING = {
    "StableDiffusionPipeline": "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLInstructPix2PixPipeline",
}
State = dict[str, torch.Tensor]


class WholeModel:
    """A UNet's file and the base model that it belongs to.

    Args:
        source: `unet.safetensors` of a run or checkpoint.
        base: Folder, known name or hub id; by default what the run's settings say.
        dtype: What the weights of the UNet are stored in: fp32, fp16 or bf16.

    Raises:
        DarkroomError: When the base model is not known or not there, or the file is of another model.
    """

    def __init__(self, source: Path, *, base: str | None = None, dtype: str = "fp32") -> None:
        self._source, self._dtype, self._header = source, DTYPES[dtype], read_adapter_header(source)
        self._settings = _find_settings(source, self._header.metadata)
        self._scratch = TemporaryDirectory()
        self._folder = self._find_base(base)
        self._index = json.loads((self._folder / "model_index.json").read_text("utf-8"))
        self._config = json.loads((self._folder / "unet" / "config.json").read_text("utf-8"))
        first = self._header.tensors.get("conv_in.weight")
        if first is None or first.shape[0] != self._config["block_out_channels"][0]:
            raise DarkroomError(
                f"“{source.name}” holds no UNet of {self._folder.name}. Give the base model that it was trained from with --base."
            )
        self._config["in_channels"] = first.shape[1]

    def write_folder(self, target: Path) -> None:
        """Everything that `from_pretrained` needs, the weights beside the base model's other parts, whole or not at all.

        Raises:
            DarkroomError: When the folder exists already, or cannot be written.
        """
        if target.exists():
            raise DarkroomError(f"“{target.name}” is there already. Choose another name, or remove it.")
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            self._fill(part)
            os.rename(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def write_file(self, target: Path) -> None:
        """UNet, VAE and text encoders in one file under the original names."""
        xl = "text_encoder_2" in self._index
        state = original.lay_out_unet(self._weights(), layers_per_block=self._config["layers_per_block"])
        state |= original.lay_out_vae(self._component("vae"))
        if xl:
            state |= original.lay_out_clip(self._component("text_encoder"), original.TEXT_XL)
            state |= original.lay_out_open_clip(self._component("text_encoder_2"))
        else:
            state |= original.lay_out_clip(self._component("text_encoder"), original.TEXT)
        state |= self._marks()
        write_weights(target, {name: tensor.contiguous() for name, tensor in state.items()}, dict(self._header.metadata))

    def _fill(self, folder: Path) -> None:
        pipeline = self._name_pipeline()
        wanted = set(inspect.signature(getattr(diffusers, pipeline).__init__).parameters)
        index = {k: v for k, v in self._index.items() if k.startswith("_") or k in wanted}
        for name in [k for k, v in index.items() if isinstance(v, list) and v[0] and k != "unet"]:
            _copy_component(self._folder_of(name), folder / name)
        (folder / "unet").mkdir(parents=True)
        safetensors.torch.save_file(self._weights(), folder / "unet" / WEIGHTS, {"format": "pt"})
        files.write_json(folder / "unet" / "config.json", self._config)
        files.write_json(folder / "model_index.json", {**index, "_class_name": pipeline})
        scheduler = folder / "scheduler" / "scheduler_config.json"
        files.write_json(scheduler, {**json.loads(scheduler.read_text("utf-8")), **self._prediction()})
        for path in folder.rglob("*.safetensors"):
            files.let_others_read(path)

    def _name_pipeline(self) -> str:
        name = str(self._index["_class_name"])
        edits = self._config["in_channels"] == 2 * self._config["out_channels"]
        return _EDITING.get(name, name) if edits else name

    def _weights(self) -> State:
        state = safetensors.torch.load_file(self._source)
        if not all(bool(torch.isfinite(t).all()) for t in state.values()):
            raise DarkroomError(
                f"“{self._source.name}” holds numbers that are not finite; its training broke. Choose an earlier checkpoint."
            )
        return {name: tensor.to(self._dtype) for name, tensor in state.items()}

    def _find_base(self, given: str | None) -> Path:
        """The base model as a folder in the diffusers layout; one that is a single file is taken apart into one."""
        wanted = given or self._settings.get("pretrained_model_name_or_path")
        if not wanted:
            raise DarkroomError(f"“{self._source.name}” does not say what it was trained from. Give its base model with --base.")
        place = parse_source(str(wanted))
        if place.kind == "folder":
            return place.path
        options = self._options(place.text)
        if place.kind == "hub":
            with explaining(Wanted(place.label, FIELD, revision=options.revision, variant=options.variant, cache_dir=options.cache_dir)):
                known = {"revision": options.revision, "variant": options.variant, "cache_dir": options.cache_dir}
                return Path(DiffusionPipeline.download(place.place, use_safetensors=True, **known))
        family = read_model_file(place.path).family
        kind = next(name for name, (of, edits) in PIPELINES.items() if of == family and not edits)
        folder = Path(self._scratch.name) / "base"
        load_pipeline(getattr(diffusers, kind), options).save_pretrained(folder)
        return folder

    def _folder_of(self, component: str) -> Path:
        """Where a part of the base model lies; the VAE may be another's."""
        other = self._settings.get(VAE_FIELD) if component == "vae" else None
        if not other:
            return self._folder / component
        place, folder = parse_vae_source(str(other)), Path(self._scratch.name) / "vae"
        if place.kind == "folder":
            return Path(place.place)
        if not folder.is_dir():
            load_vae(self._options("", vae=str(other)), PIPELINES[str(self._index["_class_name"])][0]).save_pretrained(folder)
        return folder

    def _options(self, source: str, *, vae: str | None = None) -> LoadOptions:
        known: dict[str, Any] = {name: self._settings.get(name) for name in ("revision", "variant", "cache_dir")}
        return LoadOptions(source, torch.device("cpu"), torch.float32, vae_source=vae, edits=True, **known)

    def _component(self, name: str) -> State:
        state: State = {}
        for path in _choose_weights(self._folder_of(name)):
            state |= safetensors.torch.load_file(path)
        return {n: t.to(self._dtype) if t.is_floating_point() else t for n, t in state.items()}

    def _prediction(self) -> dict[str, str]:
        asked = self._settings.get("prediction_type")
        return {"prediction_type": str(asked)} if asked else {}

    def _marks(self) -> State:
        """What tells ComfyUI that a model predicts velocity, and down to no signal at all."""
        told = json.loads((self._folder / "scheduler" / "scheduler_config.json").read_text("utf-8")) | self._prediction()
        if told.get("prediction_type") != "v_prediction":
            return {}
        return {name: torch.zeros(1) for name in ("v_pred", *(["ztsnr"] if told.get("rescale_betas_zero_snr") else []))}


def _find_settings(source: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """The run's settings: from its folder, which knows where the base model lies, or from the recipe in the file."""
    for folder in list(source.resolve().parents)[:3]:
        if RunDir(folder).config.is_file():
            return dict(read_config_document(RunDir(folder).config)["config"])
    try:
        return dict(json.loads(metadata.get("darkroom.recipe", "{}")).get("config", {}))
    except (ValueError, AttributeError, TypeError):
        return {}


def _choose_weights(folder: Path) -> list[Path]:
    """The files of weights of one component: the plain ones, or those of a variant where only it was fetched."""
    found = sorted(folder.glob("*.safetensors"))
    plain = [path for path in found if path.name.count(".") == 1]
    return plain or found


def _copy_component(source: Path, target: Path) -> None:
    """A component's folder; the files of a variant get their plain names, so that nobody has to know of it."""
    target.mkdir(parents=True)
    chosen = {path.name for path in _choose_weights(source)}
    for path in sorted(source.iterdir()):
        if path.is_dir() or (path.suffix in (".safetensors", ".bin", ".msgpack", ".onnx") and path.name not in chosen):
            continue
        shutil.copyfile(path, target / _plain_name(path.name))


def _plain_name(name: str) -> str:
    """`model.fp16.safetensors` -> `model.safetensors`; an index of several files speaks of their names, so it keeps its own."""
    parts = name.split(".")
    return f"{parts[0]}.{parts[-1]}" if parts[-1] == "safetensors" and len(parts) == 3 and "-of-" not in parts[1] else name


Writer = Callable[[WholeModel, Path], None]
WRITERS: dict[str, Writer] = {"folder": WholeModel.write_folder, "file": WholeModel.write_file}
