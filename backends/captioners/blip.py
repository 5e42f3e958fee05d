"""BLIP (Li et al. 2022, arXiv:2201.12086) by transformers, without torchvision: captions, and how well they fit."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BlipForConditionalGeneration, BlipForImageTextRetrieval
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from backends.captioners.generating import Generating, load_model, load_tokenizer, read_texts, seed_draw
from backends.contract.captioning import Wording

# Of 48 pictures of the samples in five wordings all 240 true captions score 0.5 or more, 2,311 of 2,540 of another background less.
# Without leaving words out it were 140 of 240: what is new to a captioner is unlikely in ways that tell nothing of the picture.
WITNESS = 0.5
SAYABLE = 0.01


class Blip(Generating):
    """BLIP that writes captions, and can say how likely it would have written a given one."""

    def __init__(self, folder: Path) -> None:
        self._model = load_model(BlipForConditionalGeneration, folder)
        self._processor = BlipImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._tokenizer = load_tokenizer(folder)
        self._others: dict[int, Tensor] = {}

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`."""
        values = self.search_values(wording)
        # Begin and end take a place each.
        values["max_new_tokens"] = min(wording.max_new_tokens, self._model.config.text_config.max_position_embeddings - 2)
        seed_draw(picture, wording)
        with torch.inference_mode():
            return read_texts(self._tokenizer, self._model.generate(pixel_values=self._pixels([picture]), **values))

    @torch.inference_mode()
    def compare_with(self, others: list[Image.Image]) -> None:
        """Names the pictures beside which `score` looks at each one: others of the same data set; plain grey where there are none."""
        named = others or [Image.new("RGB", (64, 64), (128, 128, 128))]
        self._others = {_mark(p): self._see(p) for p in named}

    @torch.inference_mode()
    def score(self, picture: Image.Image, text: str) -> float:
        """The chance that this picture, and not one of the others (`compare_with`), led to these words: 0.5 tells nothing.

        By Bayes' rule from how likely the words are under this picture, and on average under the others, both as likely beforehand.
        Tokens that it would say of none of them (less likely than `SAYABLE`) are left out: it does not know them. The rest hang
        together and are not so many witnesses: two count as one (`WITNESS`).
        """
        others = [seen for mark, seen in self._others.items() if mark != _mark(picture)]
        if not others:
            self.compare_with([])
            others = list(self._others.values())
        likely = self._log_likelihoods(torch.cat([self._see(picture), *others]), text).double()
        known = likely.max(0).values.exp() >= SAYABLE
        likely = WITNESS * (likely * known).sum(1)
        other = torch.logsumexp(likely[1:], 0) - torch.log(torch.tensor(float(len(others)), device=likely.device))
        return float(torch.sigmoid(likely[0] - other))

    def _see(self, picture: Image.Image) -> Tensor:
        """(1, patches, width)"""
        return self._model.vision_model(pixel_values=self._pixels([picture])).last_hidden_state

    def _log_likelihoods(self, seen: Tensor, text: str) -> Tensor:
        """(n, tokens): log likelihood of each token of the words under each of (n, patches, width) encoded pictures."""
        limit = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(text, return_tensors="pt", truncation=True, max_length=limit).input_ids.to(seen.device)
        tokens = tokens.repeat(len(seen), 1)
        tokens[:, 0] = self._model.config.text_config.bos_token_id
        logits = self._model.text_decoder(input_ids=tokens, encoder_hidden_states=seen, use_cache=False).logits
        return torch.log_softmax(logits[:, :-1].float(), -1).gather(2, tokens[:, 1:, None])[..., 0]

    def _pixels(self, pictures: list[Image.Image]) -> Tensor:
        pixels = self._processor(images=pictures, return_tensors="pt")["pixel_values"]
        return pixels.to(self._model.device, self._model.dtype)


def _mark(picture: Image.Image) -> int:
    return zlib.crc32(picture.tobytes())


class BlipMatching:
    """BLIP with the head that was trained to tell whether a caption belongs to a picture (image-text matching)."""

    def __init__(self, folder: Path) -> None:
        self._model: Any = load_model(BlipForImageTextRetrieval, folder)
        self._processor = BlipImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._tokenizer = load_tokenizer(folder)

    @torch.inference_mode()
    def score(self, picture: Image.Image, text: str) -> float:
        """The head's probability that this caption belongs to this picture."""
        model = self._model
        pixels = self._processor(images=[picture], return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
        limit = min(512, model.config.text_config.max_position_embeddings)
        tokens = self._tokenizer([text], return_tensors="pt", truncation=True, max_length=limit).to(model.device)
        seen = model.vision_model(pixel_values=pixels).last_hidden_state
        # The model's own forward makes this mask on the CPU, wherever the model is.
        everywhere = torch.ones(seen.shape[:-1], dtype=torch.long, device=seen.device)
        read = model.text_encoder(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, encoder_hidden_states=seen, encoder_attention_mask=everywhere
        ).last_hidden_state
        return float(torch.softmax(model.itm_head(read[:, 0]).float(), -1)[0, 1])
