"""A trained LoRA in the layouts of other programs: `python -m backends.engine.export IN OUT --layout kohya|diffusers`.

kohya      what ComfyUI, A1111, Forge and the kohya scripts read: `lora_unet_<module>.lora_down.weight`, `.lora_up.weight`,
           and `.alpha` with the alpha it was trained with. The first text encoder's modules get back the `text_model.`
           that transformers 5 dropped from its names; without it those programs do not find them.
diffusers  what `load_lora_weights` of diffusers reads; also the layout that the trainer writes.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from backends.contract import files
from backends.contract.adapter_file import AdapterHeader, read_adapter_header
from backends.contract.errors import DarkroomError

log = logging.getLogger(__name__)
LAYOUTS = ("kohya", "diffusers")
PEFT_METADATA = "lora_adapter_metadata"
_KEY = re.compile(r"(unet|text_encoder|text_encoder_2)\.(.+)\.lora_([AB])\.weight")
_SIDES = {"A": "lora_down", "B": "lora_up"}


def export_adapter(source: Path, target: Path, layout: str) -> None:
    """Writes the LoRA in `source` (diffusers layout) to `target` in another layout, whole or not at all.

    Raises:
        DarkroomError: When `source` is damaged, holds nothing, holds numbers that are not finite, or cannot be laid out so.
    """
    if layout not in LAYOUTS:
        raise DarkroomError(f"The layout is “{layout}”; it must be one of {', '.join(LAYOUTS)}.", field="layout")
    header = read_adapter_header(source)
    state = safetensors.torch.load_file(str(source))
    check_numbers(state, source.name)
    metadata = _without_dropout(dict(header.metadata), source.name)
    if layout == "kohya":
        state = to_kohya(state, read_scalings(header, source.name), one_text_encoder=header.made_for.startswith("SD "))
        metadata = _kohya_metadata(metadata, state)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(target, safetensors.torch.save(state, metadata))
    except OSError as error:
        raise DarkroomError(f"“{target.name}” cannot be written: {error.strerror}. Choose another place, or make room.") from None


def check_numbers(state: dict[str, torch.Tensor], name: str) -> None:
    """Refuses a LoRA that would break a picture or change nothing.

    Raises:
        DarkroomError: When a number is not finite, or every module's second factor is 0.
    """
    if not all(bool(torch.isfinite(t).all()) for t in state.values()):
        raise DarkroomError(f"“{name}” holds numbers that are not finite; its training broke. Choose an earlier checkpoint.")
    ups = [t for key, t in state.items() if "lora_B" in key or "lora_up" in key or ".up." in key]
    if not any(bool(t.any()) for t in ups):
        raise DarkroomError(f"“{name}” has learnt nothing: all that it would add is 0. Train it for some steps first.")


def to_kohya(state: dict[str, torch.Tensor], scalings: dict[str, float], *, one_text_encoder: bool = False) -> dict[str, torch.Tensor]:
    """The tensors under kohya's names, with an alpha for every module.

    Args:
        state: Diffusers names -> tensors.
        scalings: Module (with its component in front) -> the factor on its output, so that alpha = factor x rank.
        one_text_encoder: SD 1.5 and 2 have one, called `te` instead of `te1`.

    Raises:
        DarkroomError: When a tensor is no LoRA factor of a UNet or CLIP text encoder.
    """
    prefixes = {"unet": "lora_unet_", "text_encoder": "lora_te_" if one_text_encoder else "lora_te1_", "text_encoder_2": "lora_te2_"}
    laid_out: dict[str, torch.Tensor] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if not match:
            raise DarkroomError(f"“{key}” has no place in the kohya layout; it takes LoRAs of SDXL and SD in the diffusers layout.")
        component, module, side = match.groups()
        lost = component == "text_encoder" and not module.startswith("text_model.")
        path = f"text_model.{module}" if lost else module
        name = prefixes[component] + path.replace(".", "_")
        laid_out[f"{name}.{_SIDES[side]}.weight"] = tensor.contiguous()
        if side == "A":
            laid_out[f"{name}.alpha"] = torch.tensor(scalings[f"{component}.{module}"] * tensor.shape[0], dtype=torch.float32)
    return laid_out


def read_scalings(header: AdapterHeader, name: str) -> dict[str, float]:
    """Module -> factor on its output (alpha / rank), as peft's settings in the metadata say; 1 where they are missing.

    Raises:
        DarkroomError: When those settings are damaged.
    """
    try:
        settings = json.loads(header.metadata.get(PEFT_METADATA, "{}"))
        return {
            f"{m[1]}.{m[2]}": _scaling(settings, m[1], m[2], tensor.shape[0])
            for m, tensor in ((_KEY.fullmatch(k), t) for k, t in header.tensors.items())
            if m and m[3] == "A"
        }
    except (ValueError, TypeError, AttributeError, re.error):
        raise _damaged(name) from None


def _scaling(settings: dict[str, Any], component: str, module: str, rank: int) -> float:
    alpha = settings.get(f"{component}.lora_alpha", rank)
    for pattern, value in (settings.get(f"{component}.alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern.removeprefix('^')})", module):
            alpha = value
            break
    return float(alpha) / (math.sqrt(rank) if settings.get(f"{component}.use_rslora") else rank)


def _without_dropout(metadata: dict[str, str], name: str) -> dict[str, str]:
    """Dropout belongs to training; diffusers leaves a loaded adapter in training mode and would apply it to pictures."""
    if PEFT_METADATA in metadata:
        try:
            settings = json.loads(metadata[PEFT_METADATA])
            settings |= {key: 0.0 for key in settings if key.endswith(".lora_dropout")}
        except (ValueError, TypeError):
            raise _damaged(name) from None
        metadata[PEFT_METADATA] = json.dumps(settings, indent=2, sort_keys=True)
    return metadata


def _damaged(name: str) -> DarkroomError:
    return DarkroomError(f"The notes on rank and alpha in “{name}” are damaged. Choose another checkpoint.")


def _kohya_metadata(metadata: dict[str, str], state: dict[str, torch.Tensor]) -> dict[str, str]:
    """Without peft's settings: a reader that finds both those and alphas refuses the file."""
    kept = {key: value for key, value in metadata.items() if key != PEFT_METADATA}
    rank = max(t.shape[0] for key, t in state.items() if key.endswith(".lora_down.weight"))
    alpha = max(float(t) for key, t in state.items() if key.endswith(".alpha"))
    return {"ss_network_module": "networks.lora", "ss_network_dim": str(rank), "ss_network_alpha": f"{alpha:g}", **kept}


def main(arguments: list[str] | None = None) -> int:
    """The command; 0, or 2 with the reason on stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m backends.engine.export", description="A LoRA in the layout of another program.")
    parser.add_argument("source", type=Path, metavar="IN", help="lora.safetensors of a run or checkpoint")
    parser.add_argument("target", type=Path, metavar="OUT", help="the file to write")
    parser.add_argument("--layout", choices=LAYOUTS, default="kohya")
    chosen = parser.parse_args(arguments)
    try:
        export_adapter(chosen.source, chosen.target, chosen.layout)
    except DarkroomError as error:
        log.error("%s", error.text)
        return 2
    log.info("Written: %s", chosen.target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
