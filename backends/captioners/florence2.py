"""Florence-2 (Xiao et al. 2023, arXiv:2311.06242) by transformers' own classes."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from transformers import Florence2ForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from backends.captioners.generating import Generating, load_model, load_tokenizer, read_texts, seed_draw
from backends.contract.captioning import Wording

# The three questions about a whole picture that it was taught, by the tokens that their answers mostly take.
QUESTIONS = (
    (25, "What does the image describe?"),
    (80, "Describe in detail what is shown in the image."),
    (10_000, "Describe with a paragraph what is shown in the image."),
)


class Florence2(Generating):
    """Florence-2 that writes captions."""

    def __init__(self, folder: Path) -> None:
        self._model = load_model(Florence2ForConditionalGeneration, folder)
        self._looks = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._tokenizer = load_tokenizer(folder)
        self._places = 0  # tokens that a picture takes; the same for all, as it is brought to one size

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`. The length asked for chooses between its short, its detailed and its most detailed caption."""
        question = next(words for most, words in QUESTIONS if wording.max_new_tokens <= most)
        model, ends = self._model, self._tokenizer
        asked = [ends.bos_token_id, *ends(question, add_special_tokens=False).input_ids, ends.eos_token_id]
        pixels = self._looks(images=[picture], return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
        seed_draw(picture, wording)
        with torch.inference_mode():
            self._places = self._places or model.get_image_features(pixels).pooler_output.shape[1]
            tokens = torch.tensor([[model.config.image_token_id] * self._places + asked], device=model.device)
            answer = model.generate(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), pixel_values=pixels, **self.search_values(wording)
            )
        return read_texts(self._tokenizer, answer)
