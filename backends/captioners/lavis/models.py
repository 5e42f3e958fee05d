"""Captions and scores by LAVIS (Li et al. 2022, arXiv:2209.09019). It runs only in LAVIS' own environment (see `studio setup-lavis`)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from PIL import Image

from backends.captioners.lavis.absent import stand_in_for_absent
from backends.contract.captioning import CAPTIONERS, LAVIS, SCORERS, Wording
from backends.contract.errors import DarkroomError

CONFIG = "model.yaml"
# As every BLIP of LAVIS looks at pictures: its own processor is these three steps of torchvision.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


class LavisCaptioner:
    """A LAVIS model that writes captions: blip_caption, blip2_opt, blip2_t5."""

    check: Callable[[], None] = staticmethod(lambda: None)  # its pictures are left between two of them

    def __init__(self, name: str) -> None:
        self._model, self._side = _load(name, "generate")

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`. A beam search of LAVIS gives its best caption alone, however many candidates are asked for."""
        drawn = wording.search == "nucleus"
        if drawn:
            torch.manual_seed(zlib.crc32(picture.tobytes(), wording.seed))
        with torch.inference_mode():
            texts = self._model.generate(
                {"image": look(picture, self._side).to(self._model.device)},
                use_nucleus_sampling=drawn,
                num_beams=1 if drawn else wording.num_beams,
                top_p=wording.top_p,
                min_length=1,
                max_length=wording.max_new_tokens + int(getattr(self._model, "prompt_length", 0)),
                num_captions=wording.candidates if drawn else 1,
            )
        return list(dict.fromkeys(" ".join(text.split()) for text in texts))


class LavisScorer:
    """A LAVIS model that tells whether a caption belongs to a picture: blip_image_text_matching."""

    def __init__(self, name: str) -> None:
        self._model, self._side = _load(name, "itm_head")

    def score(self, picture: Image.Image, text: str) -> float:
        """The matching head's probability."""
        seen = look(picture, self._side).to(self._model.device)
        with torch.inference_mode():
            judged = self._model({"image": seen, "text_input": [text]}, match_head="itm")
        return float(torch.softmax(judged.float(), -1)[0, 1])


def look(picture: Image.Image, side: int) -> torch.Tensor:
    """(1, 3, side, side): the picture as a BLIP of LAVIS sees it."""
    scaled = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    return torch.from_numpy((scaled - _MEAN) / _DEVIATION).permute(2, 0, 1)[None].contiguous()


def _load(name: str, ability: str) -> tuple[Any, int]:
    """The model and the side in px of the pictures that it looks at. `name` is model/type, or a folder with a model.yaml."""
    stand_in_for_absent()
    try:
        from lavis.common.registry import registry
        from lavis.models import model_zoo
    except ImportError as error:
        text = f"LAVIS is not in this environment ({error}). Make it anew: python -m studio setup-lavis --anew"
        raise DarkroomError(text, field="captioner") from None
    folder = Path(name).expanduser()
    with _plain_refusals(name):
        if (folder / CONFIG).is_file():
            model, side = _load_folder(folder, registry)
        else:
            kind, _, variant = name.partition("/")
            types = dict(model_zoo).get(kind)
            if not types or variant not in types:
                raise DarkroomError(_explain_unknown(name, kind, types), field="captioner")
            model_class = registry.get_model_class(kind)
            side = int(_read_yaml(Path(model_class.default_config_path(variant))).get("image_size", 224))
            model = model_class.from_pretrained(model_type=variant)
    if not hasattr(model, ability):
        what = "writes no captions" if ability == "generate" else "scores no captions"
        raise DarkroomError(f"The LAVIS model “{name}” {what}.", field="captioner")
    return model.float().eval().to("cuda" if torch.cuda.is_available() else "cpu"), side


def _load_folder(folder: Path, registry: Any) -> tuple[Any, int]:
    """A model of one's own: model.yaml as LAVIS writes it, with the files that it names, and the tokenizer's vocab.txt, beside it."""
    config = _read_yaml(folder / CONFIG)
    for key in ("finetuned", "pretrained", "med_config_path"):
        if config.get(key) and (folder / str(config[key])).is_file():
            config[key] = str((folder / str(config[key])).resolve())
    kind = registry.get_model_class(config.arch)
    if kind is None:
        raise DarkroomError(f"{folder.name}/{CONFIG} names the model “{config.arch}”, which LAVIS does not have.", field="captioner")
    if (folder / "vocab.txt").is_file():
        kind = type(kind.__name__, (_own_tokenizer(folder), kind), {})
    return kind.from_config(config), int(config.get("image_size", 224))


def _own_tokenizer(folder: Path) -> type:
    """A class that takes the tokenizer of the folder where LAVIS would take bert-base-uncased of the hub."""

    class OwnTokenizer:
        @classmethod
        def init_tokenizer(cls) -> Any:
            from transformers import BertTokenizer

            tokenizer = BertTokenizer.from_pretrained(str(folder))
            tokenizer.add_special_tokens({"bos_token": "[DEC]"})
            tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
            tokenizer.enc_token_id = tokenizer.additional_special_tokens_ids[0]
            return tokenizer

    return OwnTokenizer


def _read_yaml(path: Path) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.load(path).model


def _explain_unknown(name: str, kind: str, types: list[str] | None) -> str:
    if types:
        return f"LAVIS has the model {kind} in these types: {', '.join(types)}; not “{name}”."
    return f"LAVIS has no model “{kind}”. One that writes captions is blip_caption/base_coco; or give a folder with a {CONFIG}."


@contextlib.contextmanager
def _plain_refusals(name: str) -> Iterator[None]:
    """Weights that cannot be had or read become a sentence."""
    try:
        yield
    except (URLError, OSError, ConnectionError) as error:
        known = CAPTIONERS.get(LAVIS + name) or SCORERS.get(LAVIS + name)
        size = f" They are a download of {known.size_gb:g} GB, besides the words of bert-base-uncased of the hub." if known else ""
        text = f"The weights of LAVIS' “{name}” are not on this machine and cannot be reached ({_short(error)}).{size} Connect it once."
        raise DarkroomError(text, field="captioner") from None


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
