"""What all captioners of transformers have in common: device, precision, how words are looked for, and how they are read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, StoppingCriteria, StoppingCriteriaList

from backends.contract.captioning import Wording


def choose_device() -> str:
    """The GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_dtype(*, large: bool = False) -> torch.dtype:
    """Half precision on a GPU; on a CPU full, but for what is too large for most memories."""
    if torch.cuda.is_available():
        return torch.bfloat16 if large and torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if large else torch.float32


def load_model(kind: Any, folder: Path, *, large: bool = False) -> Any:
    """A model of this class from its folder, from safetensors only, ready to be asked."""
    model = kind.from_pretrained(folder, dtype=choose_dtype(large=large), local_files_only=True, use_safetensors=True)
    return model.eval().to(choose_device())


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model's folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


class Generating:
    """What captioners of transformers are: `check` is called with every token, and leaves the caption by what it raises."""

    check: Callable[[], None] = staticmethod(lambda: None)

    def search_values(self, wording: Wording) -> dict[str, Any]:
        """The arguments of `generate` for a wording, which is looked at with every token."""
        return {**search_values(wording), "stopping_criteria": StoppingCriteriaList([_Checked(self)])}


class _Checked(StoppingCriteria):
    def __init__(self, captioner: Generating) -> None:
        self._captioner = captioner

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        self._captioner.check()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def search_values(wording: Wording) -> dict[str, Any]:
    """What `generate` takes of a wording. Several candidates of a beam search are its best beams."""
    common = {"max_new_tokens": wording.max_new_tokens, "num_return_sequences": wording.candidates}
    if wording.search == "nucleus":
        return {**common, "do_sample": True, "top_p": wording.top_p, "top_k": 0, "num_beams": 1}
    return {**common, "do_sample": False, "num_beams": max(wording.num_beams, wording.candidates)}


def seed_draw(picture: Image.Image, wording: Wording) -> None:
    """Sets the generator by seed and picture: the same picture gets the same draw, whichever were captioned before it."""
    if wording.search == "nucleus":
        torch.manual_seed(zlib.crc32(picture.tobytes(), wording.seed))


def read_texts(tokenizer: Any, tokens: Tensor) -> list[str]:
    """The captions of generated tokens, without special ones; what came twice stands once."""
    texts = (" ".join(text.split()) for text in tokenizer.batch_decode(tokens, skip_special_tokens=True))
    return list(dict.fromkeys(texts))
