"""Loading what diffusers can load, and saying in plain words why it could not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from backends.contract.errors import DarkroomError
from backends.families.protocol import LoadOptions
from backends.families.quantizing import build_quantization

FIELD = "pretrained_model_name_or_path"


def load_pipeline(kind: type[Any], options: LoadOptions, *, denoiser: str = "unet") -> Any:
    """The whole pipeline, its weights in the options' dtype; the denoiser in float32 where it is trained, or quantised.

    Raises:
        DarkroomError: When it cannot be had; the text says what to do.
    """
    arguments: dict[str, Any] = {"revision": options.revision, "variant": options.variant, "cache_dir": options.cache_dir}
    arguments["dtype"] = {denoiser: torch.float32, "default": options.dtype} if options.trains_denoiser else options.dtype
    if options.quantize != "none":
        arguments["quantization_config"] = build_quantization(options, denoiser)
    try:
        _check_class(kind, options.source)
        return kind.from_pretrained(options.source, use_safetensors=True, **arguments)
    except DarkroomError:
        raise
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise explain_load_error(error, options.source, FIELD) from error


def load_vae(options: LoadOptions) -> AutoencoderKL:
    """The VAE that the settings name instead of the base model's own.

    Raises:
        DarkroomError: When it cannot be had.
    """
    source = str(options.vae_source)
    folder = Path(source) / "vae"
    arguments: dict[str, Any] = {"subfolder": "vae"} if folder.is_dir() else {}
    try:
        return AutoencoderKL.from_pretrained(source, dtype=options.dtype, cache_dir=options.cache_dir, **arguments)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise explain_load_error(error, source, "pretrained_vae_model_name_or_path") from error


def explain_load_error(error: Exception, source: str, field: str) -> DarkroomError:
    """What a person can do about a base model that did not load; the order follows the exceptions' inheritance."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if any(isinstance(e, GatedRepoError) for e in chain):
        text = (
            f"“{source}” is gated: its owners ask you to accept their licence first. Open https://huggingface.co/{source}, accept, "
            "and start the studio with your token in HF_TOKEN."
        )
    elif any(isinstance(e, RepositoryNotFoundError) for e in chain):
        text = f"There is no “{source}” on the hub, or it is private. Check the spelling; for a private one set HF_TOKEN."
    elif any(isinstance(e, LocalEntryNotFoundError) for e in chain) or any(
        word in str(error).lower() for word in ("connect", "cached locally")
    ):
        text = (
            f"“{source}” is not on this machine and the hub cannot be reached. Connect to the internet once to fetch it, give a folder "
            "that holds it, or start from Pocket (pocket-sdxl), which came with the studio."
        )
    else:
        text = (
            f"“{source}” could not be loaded: {str(error).splitlines()[0]} Check that its files are complete, or choose another base model."
        )
    return DarkroomError(text, field=field)


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
            flat = tensor.detach().reshape(-1)
            picked = flat[:: max(1, flat.numel() // 64)][:64].float().cpu()
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(picked.numpy().tobytes())
    return digest.hexdigest()


def _check_class(kind: type[Any], source: str) -> None:
    index = Path(source) / "model_index.json"
    if not index.is_file():
        return
    try:
        found = json.loads(index.read_text("utf-8")).get("_class_name", "")
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise DarkroomError(f"{index.name} of {source} is damaged. Fetch the base model anew.", field=FIELD) from None
    if found != kind.__name__:
        raise DarkroomError(
            f"“{source}” is a {found or 'model of unknown kind'}; this training needs a {kind.__name__}. Choose one of its family.",
            field=FIELD,
        )
