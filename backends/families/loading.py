"""Loading a base model from a folder, the hub or one file, with another VAE and stored small where the settings ask for it."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, PipelineQuantizationConfig, UNet2DConditionModel
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from backends.contract.base_model_check import PIPELINES, check_base_model, check_index
from backends.contract.base_models import FIELD, ModelSource
from backends.contract.clip_vocabulary import CONFIGS
from backends.contract.errors import DarkroomError
from backends.contract.model_file import FAMILY_NAMES, read_model_file
from backends.contract.vae_source import FIELD as VAE_FIELD
from backends.contract.vae_source import VaeSource, check_channels, parse_vae_source
from backends.families.hub_errors import Wanted, explaining
from backends.families.protocol import LoadOptions
from backends.families.quantizing import build_quantization, store_small
from backends.families.single_file import load_denoiser, load_file_vae, load_whole_file, tell_scheduler

SAFE_VAE = "madebyollin/sdxl-vae-fp16-fix"


def load_pipeline(
    kind: type[Any], options: LoadOptions, *, denoiser: str = "unet", vae_dtype: torch.dtype | None = None, configs: Path = CONFIGS
) -> Any:
    """The whole pipeline, its weights in the options' dtype; the denoiser in float32 where it is trained, or quantised.

    What can be refused without loading is refused first: what the machine cannot do, then what is in files here, then what the
    hub says in its smallest file.

    Args:
        kind: The pipeline's class, one of `PIPELINES`.
        options: What to load and how.
        denoiser: Component name of what predicts.
        vae_dtype: Of the base model's own VAE, by default the options' dtype; it is not rounded to that on the way.
        configs: A folder for each family, with the architectures for single files.

    Raises:
        DarkroomError: When it cannot be had; the text says what to do.
    """
    family, _ = PIPELINES[kind.__name__]
    quantization = build_quantization(options)
    source = check_base_model(options.source, family, edits=options.edits, vae=options.vae_source)
    _check_on_hub(source, family, options)
    components = {"vae": load_vae(options, family, configs=configs)} if options.vae_source else {}
    dtypes = {"default": options.dtype, "vae": vae_dtype or options.dtype}
    if options.trains_denoiser:
        dtypes[denoiser] = torch.float32
    if options.denoiser_revision and source.kind == "hub":
        components[denoiser] = _load_revision(source, options, denoiser, dtypes.get(denoiser, options.dtype))
    if source.kind == "file":
        pipeline = _load_file(kind, source, options, denoiser=denoiser, config=configs / family, dtypes=dtypes, **components)
    else:
        pipeline = _load_folder(kind, source, options, dtypes, {denoiser: quantization} if quantization else {}, **components)
    if options.vae_source:
        read = _count_channels(getattr(pipeline, denoiser))
        check_channels(options.vae_source, pipeline.vae.config.latent_channels, read, FAMILY_NAMES[family])
    return pipeline


def load_vae(options: LoadOptions, family: str, *, configs: Path = CONFIGS) -> AutoencoderKL:
    """The VAE that the settings name instead of the base model's own; in float32 where it says that it needs to be.

    Args:
        options: Of these `vae_source`, `dtype` and `cache_dir`.
        family: Of the base model; a single file is read as one of its VAEs.
        configs: A folder for each family.

    Raises:
        DarkroomError: When it cannot be had.
    """
    name = str(options.vae_source)
    source = parse_vae_source(name)
    label = Path(name).name if source.kind != "hub" else name
    with explaining(Wanted(label, VAE_FIELD, cache_dir=options.cache_dir, on_hub=source.kind == "hub")):
        if source.kind == "file":
            vae = load_file_vae(Path(source.place), configs / family, torch.float32, field=VAE_FIELD)
        else:
            subfolder = _find_subfolder(source, options)
            where: dict[str, Any] = {"subfolder": subfolder} if subfolder else {}
            vae = AutoencoderKL.from_pretrained(source.place, dtype=torch.float32, cache_dir=options.cache_dir, **where)
    return vae if vae.config.force_upcast else vae.to(options.dtype)


def check_latents(latents: torch.Tensor, vae: Any) -> None:
    """Refuses latents that are not finite: they become black pictures, and a training on them breaks.

    Raises:
        DarkroomError: With the VAE that was mended for it.
    """
    if not bool(torch.isfinite(latents).all()):
        precision = {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(vae.dtype, "fp32")
        raise DarkroomError(
            f"The VAE gives numbers that are not finite in {precision}, which would be black pictures. Name another under “Another VAE”, "
            f"for SDXL {SAFE_VAE}, or set the precision to bf16.",
            field=VAE_FIELD,
        )


def compute_identity(*modules: torch.nn.Module, extra: str = "") -> str:
    """A fingerprint of modules: settings, names, shapes, types, and 64 evenly spread values of every tensor.

    A few hundred thousand values instead of all of them, so that a 3 GB encoder costs a second at most.
    """
    digest = hashlib.sha256(extra.encode())
    for module in modules:
        config: Any = getattr(module, "config", {})
        known = config.to_dict() if hasattr(config, "to_dict") else dict(config)
        known = {k: v for k, v in known.items() if not k.startswith("_") and "version" not in k}
        digest.update(json.dumps(known, sort_keys=True, default=str).encode())
        for name, tensor in sorted(module.state_dict().items()):
            plain = tensor.dequantize() if hasattr(tensor, "tensor_data_names") else tensor  # torchao's know but a few operations
            flat = plain.detach().reshape(-1)
            picked = flat[:: max(1, flat.numel() // 64)][:64].float().cpu()
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(picked.numpy().tobytes())
    return digest.hexdigest()


def _load_folder(
    kind: type[Any],
    source: ModelSource,
    options: LoadOptions,
    dtypes: dict[str, torch.dtype],
    quantization: dict[str, Any],
    **components: Any,
) -> Any:
    """From a folder or the hub; a safety checker is never fetched."""
    if "safety_checker" in inspect.signature(kind.__init__).parameters:
        components |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    if quantization:
        components["quantization_config"] = PipelineQuantizationConfig(quant_mapping=quantization)
    with explaining(_want(source, options)):
        return kind.from_pretrained(
            source.place,
            use_safetensors=True,
            dtype=dtypes,
            revision=options.revision if source.kind == "hub" else None,
            variant=options.variant,
            cache_dir=options.cache_dir,
            **components,
        )


def _load_file(
    kind: type[Any],
    source: ModelSource,
    options: LoadOptions,
    *,
    denoiser: str,
    config: Path,
    dtypes: dict[str, torch.dtype],
    **components: Any,
) -> Any:
    """From one file, and from elsewhere what it lacks."""
    file = read_model_file(source.path)
    described = _find_description(source.rest, options, denoiser) if source.rest else config
    dtype = dtypes.get(denoiser, options.dtype)
    with explaining(Wanted(source.path.name, FIELD, on_hub=False)):
        components[denoiser] = load_denoiser(source.path, file, described, dtype=dtype)
        if options.quantize != "none":
            store_small(components[denoiser], options.quantize, options.dtype)
        if "vae" in file.parts and "vae" not in components:
            components["vae"] = load_file_vae(source.path, described, dtypes["vae"])
        if source.rest is None:
            pipeline = load_whole_file(kind, source.path, file, config, dtype=options.dtype, **components)
    if source.rest is not None:
        pipeline = _load_folder(kind, source.rest, options, dtypes, {}, **components)
    tell_scheduler(pipeline, file)
    return pipeline


def _load_revision(source: ModelSource, options: LoadOptions, denoiser: str, dtype: torch.dtype) -> Any:
    """The denoiser alone from another revision of the hub, such as the weights that were trained beside their average."""
    kind = UNet2DConditionModel if denoiser == "unet" else FluxTransformer2DModel
    known: dict[str, Any] = {"revision": options.denoiser_revision, "variant": options.variant, "cache_dir": options.cache_dir}
    with explaining(Wanted(source.label, "non_ema_revision", **known)):
        return kind.from_pretrained(source.place, subfolder=denoiser, use_safetensors=True, dtype=dtype, **known)


def _find_description(rest: ModelSource, options: LoadOptions, denoiser: str) -> Path:
    """The folder that describes the build of a file, which is that of the model whose rest it takes."""
    if rest.kind == "folder":
        return rest.path
    with explaining(_want(rest, options)):
        for part in ("vae", denoiser):
            path = hf_hub_download(rest.place, f"{part}/config.json", revision=options.revision, cache_dir=options.cache_dir)
    return Path(path).parents[1]


def _check_on_hub(source: ModelSource, family: str, options: LoadOptions) -> None:
    """Asks the hub for model_index.json, of some hundred bytes, before gigabytes are fetched."""
    place = source.rest if source.kind == "file" else source
    if place is None or place.kind != "hub":
        return
    wanted = _want(place, options)
    with explaining(wanted):
        path = hf_hub_download(place.place, "model_index.json", revision=options.revision, cache_dir=options.cache_dir)
        index = json.loads(Path(path).read_text("utf-8"))
    check_index(index, place.label, family, edits=options.edits or source.kind == "file")


def _find_subfolder(source: VaeSource, options: LoadOptions) -> str:
    """The folder of a hub's repository that the VAE lies in: the top, or `vae` where it is a whole model."""
    if source.kind == "folder" or source.subfolder:
        return source.subfolder
    try:
        hf_hub_download(source.place, "config.json", cache_dir=options.cache_dir)
    except EntryNotFoundError:
        hf_hub_download(source.place, "vae/config.json", cache_dir=options.cache_dir)
        return "vae"
    return ""


def _want(source: ModelSource, options: LoadOptions) -> Wanted:
    on_hub = source.kind == "hub"
    return Wanted(source.label, FIELD, revision=options.revision, variant=options.variant, cache_dir=options.cache_dir, on_hub=on_hub)


def _count_channels(denoiser: Any) -> int:
    """Latent channels that it reads; Flux's come in patches of four."""
    config = denoiser.config
    return int(config.in_channels // 4 if hasattr(config, "guidance_embeds") else config.out_channels)
