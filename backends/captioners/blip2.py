"""BLIP-2 (Li et al. 2023, arXiv:2301.12597) by transformers, on OPT or Flan-T5."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from transformers import Blip2ForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from backends.captioners.generating import Generating, load_model, load_tokenizer, read_texts, seed_draw
from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError


class Blip2(Generating):
    """BLIP-2 that writes captions."""

    def __init__(self, folder: Path) -> None:
        self._model = load_model(Blip2ForConditionalGeneration, folder)
        if self._model.config.image_token_index is None:
            raise DarkroomError(
                "This BLIP-2 model is of a layout before 2024: its config.json has no image_token_index. Bring its newest files.",
                field="captioner",
            )
        self._processor = BlipImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._tokenizer = load_tokenizer(folder)

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`."""
        pixels = self._processor(images=[picture], return_tensors="pt")["pixel_values"]
        seed_draw(picture, wording)
        with torch.inference_mode():
            tokens = self._model.generate(pixel_values=pixels.to(self._model.device, self._model.dtype), **self.search_values(wording))
        if not self._model.config.text_config.is_encoder_decoder:
            tokens = tokens[:, self._model.config.num_query_tokens + 1 :]  # the picture's places and the beginning stand before the answer
        return read_texts(self._tokenizer, tokens)
