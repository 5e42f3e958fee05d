"""BLIP (Li et al. 2022, arXiv:2201.12086) by transformers, without torchvision."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from PIL import Image
from transformers import AutoTokenizer, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from backends.captioners.protocol import resolve_captioner
from backends.contract.errors import DarkroomError

log = logging.getLogger(__name__)


class Blip:
    """One BLIP model on the GPU where there is one, else on the CPU. Made by `load_blip`."""

    def __init__(self, model: Any, processor: Any, tokenizer: Any) -> None:
        self._model, self._processor, self._tokenizer = model, processor, tokenizer

    def caption(self, pictures: list[Image.Image], *, max_new_tokens: int = 40, num_beams: int = 1) -> list[str]:
        """One caption a picture (RGB), in the same order. Greedy or beam search: the same picture, the same words."""
        pixels = self._processor(images=pictures, return_tensors="pt")["pixel_values"]
        limit = self._model.config.text_config.max_position_embeddings - 2  # begin and end take a place each
        with torch.inference_mode():
            tokens = self._model.generate(
                pixel_values=pixels.to(self._model.device, self._model.dtype),
                max_new_tokens=min(max_new_tokens, limit),
                num_beams=num_beams,
                do_sample=False,
            )
        return [text.strip() for text in self._tokenizer.batch_decode(tokens, skip_special_tokens=True)]


def load_blip(name: str, *, offline: bool = False) -> Blip:
    """The BLIP model of this name: pocket-blip, a folder, or owner/name of the hub.

    Raises:
        DarkroomError: When it cannot be found or reached, or is another kind of model.
    """
    source = resolve_captioner(name)
    local = offline or Path(source).is_dir() or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    dtype = torch.float16 if torch.cuda.is_available() else torch.float32
    try:
        _check_kind(name, source)
        model = BlipForConditionalGeneration.from_pretrained(source, dtype=dtype, local_files_only=local, use_safetensors=True)
        processor = BlipImageProcessorPil.from_pretrained(source, local_files_only=local)
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local, trust_remote_code=False)
    except (OSError, ValueError, HfHubHTTPError) as error:
        log.warning("captioner %s: %s", name, error)
        raise DarkroomError(explain_unreachable(name, source, error, local), field="captioner") from None
    return Blip(model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), processor, tokenizer)


def explain_unreachable(name: str, source: str, error: Exception, offline: bool) -> str:
    """Why the captioner could not be had, and the way out, as plain sentences."""
    way_out = "The captioner pocket-blip came with the studio and needs no internet."
    reasons = [error, error.__cause__, error.__context__]
    if Path(source).is_dir():
        return f"The captioner in the folder “{Path(source).name}” cannot be read: {str(error).splitlines()[0][:200]}"
    if any(isinstance(e, GatedRepoError) for e in reasons):
        return f"“{name}” asks for its licence to be accepted on huggingface.co, and for HF_TOKEN in the environment. {way_out}"
    if any(isinstance(e, RepositoryNotFoundError) for e in reasons):
        return f"There is no captioner “{name}” on huggingface.co, or it is private. Look at its spelling. {way_out}"
    if offline or any(isinstance(e, LocalEntryNotFoundError) for e in reasons):
        how = "and downloads are switched off" if offline else "and huggingface.co cannot be reached"
        return f"“{name}” is not on this machine {how}. {way_out}"
    return f"“{name}” could not be loaded from huggingface.co: {str(error).splitlines()[0][:200]} {way_out}"


def _check_kind(name: str, source: str) -> None:
    config = Path(source) / "config.json"
    if not config.is_file():
        return
    try:
        kind = json.loads(config.read_text("utf-8")).get("model_type", "")
    except (ValueError, AttributeError):
        raise DarkroomError(f"The captioner “{name}” has a config.json that is not JSON.", field="captioner") from None
    if kind != "blip":
        raise DarkroomError(f"The model “{name}” is of the kind “{kind}”; a captioner must be of the kind “blip”.", field="captioner")
