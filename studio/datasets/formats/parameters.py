"""The prompt that an image program left in a picture that it drew: AUTOMATIC1111's `parameters`, ComfyUI's `prompt`."""

from __future__ import annotations

import io
import json
import re
from typing import Any

from PIL import Image

_END = re.compile(r"\n(?:Negative prompt:|Steps: )")
_LORA = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>")
_USER_COMMENT, _EXIF = 0x9286, 0x8769
_MOST_LINKS = 50


def read_prompt(data: bytes) -> str:
    """The words for what is to be seen, on one line, without LoRA marks; nothing where none are there or they cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            told = {key: value for key, value in image.info.items() if isinstance(value, str)}
            comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT, b"")
    except Exception:  # noqa: BLE001 - what is only a kindness must not cost a good picture
        return ""
    text = told.get("parameters") or _decode_comment(comment)
    words = _END.split(text)[0] if _END.search(text) or "parameters" in told else _read_workflow(told.get("prompt", ""))
    return " ".join(_LORA.sub("", words).split()).strip(" ,")


def _decode_comment(comment: Any) -> str:
    if not isinstance(comment, bytes):
        return ""
    kind, text = comment[:8], comment[8:]
    return text.decode("utf-16-be" if kind.startswith(b"UNICODE") else "utf-8", "ignore").strip("\0")


def _read_workflow(text: str) -> str:
    """Of ComfyUI's graph the text that leads to the `positive` input of a sampler."""
    try:
        nodes = json.loads(text) if text else {}
    except ValueError:
        return ""
    if not isinstance(nodes, dict):
        return ""
    for node in nodes.values():
        inputs = node.get("inputs", {}) if isinstance(node, dict) else {}
        if isinstance(inputs, dict) and "positive" in inputs:
            found = _follow(nodes, inputs["positive"])
            if found:
                return found
    return ""


def _follow(nodes: dict[str, Any], link: Any) -> str:
    waiting, seen = [link], set[str]()
    while waiting and len(seen) < _MOST_LINKS:
        at = waiting.pop(0)
        if not isinstance(at, list) or not at or str(at[0]) in seen:
            continue
        seen.add(str(at[0]))
        node = nodes.get(str(at[0]))
        inputs = node.get("inputs", {}) if isinstance(node, dict) else {}
        for name in ("text", "text_g", "string", "value"):
            if isinstance(inputs.get(name), str) and inputs[name].strip():
                return str(inputs[name])
        waiting += [value for value in inputs.values() if isinstance(value, list)]
    return ""
