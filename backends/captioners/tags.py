"""Tags by the WD14 family of taggers (SmilingWolf's wd-*-tagger), an ONNX file and a list of tags, by onnxruntime."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError

GENERAL, CHARACTER = "0", "4"  # kinds in selected_tags.csv; 9 rates how decent a picture is, which is no caption
CHARACTER_THRESHOLD = 0.85  # a name that is wrong does more harm than one that is missing
_FACE = re.compile(r"\W*\w?\W*_\W*\w?\W*")  # such as ^_^ or o_o, where the underscore is a mouth


class Tagger:
    """Writes what it sees as tags, the likeliest first."""

    check: Callable[[], None] = staticmethod(lambda: None)  # its pictures are left between two of them

    def __init__(self, folder: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise DarkroomError(
                "Tags want the package onnxruntime, which is not installed. Install it with: pip install onnxruntime", field="captioner"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: as many as there are cores
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        there = [name for name in wanted if name in onnxruntime.get_available_providers()]
        refusals = onnxruntime.capi.onnxruntime_pybind11_state
        try:
            self._session: Any = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=there)
        except (refusals.Fail, refusals.InvalidProtobuf, refusals.NoSuchFile, refusals.InvalidGraph) as error:
            raise ValueError(str(error)) from None
        self._tags = read_tags(folder / "selected_tags.csv")
        self._input = self._session.get_inputs()[0]
        number = self._session.get_outputs()[0].shape[-1]
        if isinstance(number, int) and number != len(self._tags):
            raise DarkroomError(
                f"The tagger “{folder.name}” knows {number} tags and its selected_tags.csv lists {len(self._tags)}: "
                "they do not belong together.",
                field="captioner",
            )

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """See `Captioner`. One caption: the tags that are at least as probable as asked for, at most `max_new_tokens` of them."""
        (probabilities,) = self._session.run(None, {self._input.name: look(picture, int(self._input.shape[1]))})[:1]
        found = []
        for (name, kind), probability in zip(self._tags, probabilities[0].tolist(), strict=True):
            least = {GENERAL: wording.threshold, CHARACTER: max(wording.threshold, CHARACTER_THRESHOLD)}.get(kind)
            if least is not None and probability >= least:
                found.append((-probability, name))
        return [", ".join(name for _, name in sorted(found)[: wording.max_new_tokens])] if found else []


def read_tags(path: Path) -> list[tuple[str, str]]:
    """The tags in the order of the model's outputs: as they read, and their kind."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "category"} <= rows[0].keys():
        raise DarkroomError(f"{path.name} has no columns name and category: it is no tagger's list of tags.", field="captioner")
    return [(_read_name(row["name"]), row["category"]) for row in rows]


def look(picture: Image.Image, side: int) -> np.ndarray:
    """(1, side, side, 3), blue first, 0 to 255: on a white square, as these taggers were taught."""
    square = Image.new("RGB", (max(picture.size),) * 2, "white")
    square.paste(picture, ((square.width - picture.width) // 2, (square.height - picture.height) // 2))
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    return np.ascontiguousarray(pixels[None, :, :, ::-1])


def _read_name(name: str) -> str:
    return name if _FACE.fullmatch(name) else name.replace("_", " ")
