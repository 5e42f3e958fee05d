"""The prompt that an image program left in a picture that it drew: AUTOMATIC1111's `parameters`, ComfyUI's `prompt`."""

from __future__ import annotations

import io
import json
import re
from typing import Any

from PIL import Image

_END = re.compile(r"(?:^|\n)(?:Negative prompt:|Steps: \d)")
_LORA = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>")
_USER_COMMENT, _EXIF = 0x9286, 0x8769
_MOST_LINKS = 50
_PROMPTS = ("prompt", "Prompt", "positive_prompt", "sui_image_params")  # of Fooocus, InvokeAI and SwarmUI, who leave JSON
_TEXTS = ("text", "text_g", "t5xxl", "text_positive", "prompt", "string", "value", "text_l", "clip_l")
_ASIDE = ("negative", "clip", "model", "vae", "control_net", "image", "mask", "pixels", "samples", "latent_image", "text_negative")


def read_prompt(data: bytes) -> str:
    """The words for what is to be seen, on one line, without LoRA marks; nothing where none are there or they cannot be read.

    Never the words for what is not to be seen: where those stand alone there is nothing.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            told = {key: value for key, value in image.info.items() if isinstance(value, str)}
            comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT, b"")
    except Exception:  # noqa: BLE001 - what is only a kindness must not cost a good picture
        return ""
    text = (told.get("parameters") or _decode_comment(comment)).replace("\r\n", "\n").strip("\0 \t\n\ufeff")
    if text.startswith("{"):
        words = _read_json(text)
    elif _END.search(text) or "parameters" in told:
        words = _END.split(text)[0]
    else:
        words = _read_workflow(told.get("prompt", ""))
    return " ".join(_LORA.sub("", words).split()).strip(" ,")


def _decode_comment(comment: Any) -> str:
    if not isinstance(comment, bytes):
        return ""
    kind, text = comment[:8], comment[8:]
    if not kind.startswith(b"UNICODE"):
        return text.decode("utf-8", "ignore")
    little = text.startswith(b"\xff\xfe") or text[1::2].count(0) > text[::2].count(0)  # what each second byte of Latin letters is
    return text.decode("utf-16-le" if little else "utf-16-be", "ignore")


def _read_json(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    while isinstance(value, dict):
        value = next((value[name] for name in _PROMPTS if value.get(name)), "")
    return value if isinstance(value, str) else ""


def _read_workflow(text: str) -> str:
    """Of ComfyUI's graph the text that leads to the `positive` input of a sampler, or to a guider that has one text alone."""
    try:
        nodes = json.loads(text) if text else {}
    except ValueError:
        return ""
    if not isinstance(nodes, dict):
        return ""
    for name in ("positive", "conditioning"):
        for inputs, kind in _samplers(nodes):
            if name in inputs and (name == "positive" or "Guider" in kind):
                found = _follow(nodes, inputs[name])
                if found:
                    return found
    return ""


def _samplers(nodes: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Inputs and kind of each node; what samples or guides first, for other nodes with such inputs only stand between."""
    found = [
        (node["inputs"], str(node.get("class_type", "")))
        for node in nodes.values()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
    ]
    return sorted(found, key=lambda one: not ("Sampler" in one[1] or "Guider" in one[1]))


def _follow(nodes: dict[str, Any], link: Any) -> str:
    """The first text on the way back from a link; where a node carries both kinds of words, only the way of the wanted ones."""
    waiting, seen = [link], set[str]()
    while waiting and len(seen) < _MOST_LINKS:
        at = waiting.pop(0)
        if isinstance(at, str) and at.strip():
            return at  # of a loader that has the words itself
        if not isinstance(at, list) or not at or str(at[0]) in seen:
            continue
        seen.add(str(at[0]))
        node = nodes.get(str(at[0]))
        inputs = node.get("inputs", {}) if isinstance(node, dict) else {}
        if not isinstance(inputs, dict):
            continue
        if "positive" in inputs:
            waiting = [inputs["positive"]]
            continue
        for name in _TEXTS:
            if isinstance(inputs.get(name), str) and inputs[name].strip():
                return str(inputs[name])
        waiting += [inputs[name] for name in _TEXTS if isinstance(inputs.get(name), list)]
        waiting += [value for name, value in inputs.items() if name not in (*_ASIDE, *_TEXTS) and isinstance(value, list)]
    return ""
