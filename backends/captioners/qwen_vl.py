"""Qwen2-VL, Qwen2.5-VL (Bai et al. 2025, arXiv:2502.13923) and Qwen3-VL by transformers, without torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from backends.captioners.generating import Generating, load_model, load_tokenizer, read_texts, seed_draw
from backends.contract.captioning import Wording

MOST_PIXELS = 1024 * 1024  # of a picture as it is looked at: about 1,300 tokens
_PLACE = "<|image_pad|>"


class QwenVl(Generating):
    """A Qwen-VL that writes captions."""

    def __init__(self, folder: Path) -> None:
        self._model = load_model(AutoModelForImageTextToText, folder, large=True)
        self._looks = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True, max_pixels=MOST_PIXELS)
        self._tokenizer = load_tokenizer(folder)

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`. It is asked in words; the answer may be cut where it grows longer than asked for."""
        seen = self._looks(images=[picture], return_tensors="pt")
        places = int(seen["image_grid_thw"][0].prod()) // self._looks.merge_size**2
        tokens = self._tokenizer(_ask(wording, places), return_tensors="pt")
        values: dict[str, Any] = {
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
            "mm_token_type_ids": (tokens.input_ids == self._model.config.image_token_id).int(),
            "pixel_values": seen["pixel_values"].to(self._model.dtype),
            "image_grid_thw": seen["image_grid_thw"],
        }
        seed_draw(picture, wording)
        with torch.inference_mode():
            answer = self._model.generate(**{k: v.to(self._model.device) for k, v in values.items()}, **self.search_values(wording))
        return read_texts(self._tokenizer, answer[:, tokens.input_ids.shape[1] :])


def _ask(wording: Wording, places: int) -> str:
    """The conversation up to where it answers, in the form that all Qwen-VL were taught."""
    words = max(4, wording.max_new_tokens * 3 // 5)  # a word takes about 1.4 tokens; some room is left for the end
    ask = wording.ask or f"Describe this picture for a caption, in at most {words} words. Begin with its subject. Give the caption alone."
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        f"<|vision_start|>{_PLACE * places}<|vision_end|>{ask}<|im_end|>\n<|im_start|>assistant\n"
    )
