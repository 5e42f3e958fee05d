"""What a run learnt in the layouts of other programs: `python -m backends.engine.export IN OUT --layout NAME`.

A LoRA:
kohya      what ComfyUI, A1111, Forge and the kohya scripts read, with the alpha it was trained with; of Flux under the names of the
           original checkpoint.
diffusers  what `load_lora_weights` of diffusers reads; also the layout that the trainer writes. Of Flux with an alpha beside every
           module, which ComfyUI reads too.

All weights of a UNet, together with the base model that they were trained from:
folder     a folder for `from_pretrained` of diffusers, with the pipeline's class that fits: edits get the one that edits.
file       one .safetensors under the original names, for ComfyUI, A1111 and Forge, and for `from_single_file` of diffusers.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import safetensors.torch
import torch

from backends.contract import files
from backends.contract.adapter_file import AdapterHeader, read_adapter_header
from backends.contract.errors import DarkroomError
from backends.engine.layouts.bfl import lay_out_flux
from backends.engine.layouts.kohya import lay_out_part, name_module
from backends.engine.layouts.parts import LORA_NOTES, PEFT_NOTES, Part, check_learnt, forget_dropout, read_parts

log = logging.getLogger(__name__)
LAYOUTS, WHOLE_LAYOUTS = ("kohya", "diffusers"), ("folder", "file")


def export(source: Path, target: Path, layout: str, *, base: str | None = None, dtype: str = "fp32") -> None:
    """Writes what a run learnt to `target` in another layout, whole or not at all.

    Args:
        source: `lora.safetensors` or `unet.safetensors` of a run or checkpoint.
        target: The file or folder to write.
        layout: One of LAYOUTS for a LoRA, of WHOLE_LAYOUTS for all weights.
        base: What all weights were trained from, where the run's folder does not tell.
        dtype: What all weights are stored in: fp32, fp16 or bf16.

    Raises:
        DarkroomError: When `source` is damaged, holds nothing, holds numbers that are not finite, or cannot be laid out so.
    """
    whole = "darkroom.component" in read_adapter_header(source).metadata
    fitting = WHOLE_LAYOUTS if whole else LAYOUTS
    if layout not in fitting:
        holds = "all weights of a model" if whole else "a LoRA"
        raise DarkroomError(
            f"The layout is “{layout}”; “{source.name}” holds {holds}, so it must be {' or '.join(fitting)}.", field="layout"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if whole:
            from backends.engine.layouts.whole import WRITERS, WholeModel  # diffusers takes seconds, and a LoRA needs none of it

            WRITERS[layout](WholeModel(source, base=base, dtype=dtype), target)
        else:
            export_adapter(source, target, layout)
    except OSError as error:
        raise DarkroomError(f"“{target.name}” cannot be written: {error.strerror}. Choose another place, or make room.") from None


def export_adapter(source: Path, target: Path, layout: str) -> None:
    """Writes the LoRA in `source` to `target` in another layout.

    Raises:
        DarkroomError: When `source` is damaged, holds nothing, holds numbers that are not finite, or cannot be laid out so.
        OSError: When `target` cannot be written.
    """
    header = read_adapter_header(source)
    state = safetensors.torch.load_file(str(source))
    parts = read_parts(state, header, source.name)
    check_learnt(parts, source.name)
    metadata = forget_dropout(dict(header.metadata), source.name)
    if layout == "kohya":
        state = to_kohya(parts, one_text_encoder=knows_one_text_encoder(header))
        metadata = _kohya_metadata(metadata, parts)
    elif any(_is_fused(part) for part in parts):
        state = to_alphas(parts)
        metadata = {key: value for key, value in metadata.items() if key != LORA_NOTES}
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(target, safetensors.torch.save(state, metadata))


def to_kohya(parts: list[Part], *, one_text_encoder: bool = False) -> dict[str, torch.Tensor]:
    """The tensors under kohya's names, with an alpha for every module.

    Args:
        parts: Of one adapter.
        one_text_encoder: SD 1.5 and 2 have one, called `te` instead of `te1`.

    Raises:
        DarkroomError: When a module has no place there.
    """
    flux = [part for part in parts if _is_fused(part)]
    laid_out = lay_out_flux(flux)
    for part in parts:
        if not _is_fused(part):
            laid_out |= lay_out_part(part, name_module(part, one_text_encoder=one_text_encoder))
    return laid_out


def _is_fused(part: Part) -> bool:
    return part.component == "transformer" and part.kind == "lora"


def to_alphas(parts: list[Part]) -> dict[str, torch.Tensor]:
    """The tensors under diffusers' names with an alpha for every module, in place of peft's notes."""
    laid_out = {f"{part.component}.{part.module}.{key}": tensor for part in parts for key, tensor in part.factors.items()}
    return laid_out | {f"{part.component}.{part.module}.alpha": torch.tensor(part.alpha, dtype=torch.float32) for part in parts}


def knows_one_text_encoder(header: AdapterHeader) -> bool:
    """Whether the base model is an SD 1.5 or 2, by what the file says of it, else by the width of its layers."""
    told = header.metadata.get("ss_base_model_version", "")
    return told.startswith(("sd_v1", "sd_v2")) if told else header.made_for.startswith("SD ")


def _kohya_metadata(metadata: dict[str, str], parts: list[Part]) -> dict[str, str]:
    """Without peft's settings: a reader that finds both those and alphas refuses the file."""
    kept = {key: value for key, value in metadata.items() if key not in (LORA_NOTES, PEFT_NOTES)}
    alpha = max(part.alpha for part in parts)
    found = {"ss_network_dim": str(max(part.rank for part in parts)), "ss_network_alpha": f"{alpha:g}", **kept}
    kind = parts[0].kind
    if kind != "lora":
        return {**found, "ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps({"algo": kind})}
    flux = any(part.component == "transformer" for part in parts)
    return {**found, "ss_network_module": "networks.lora_flux" if flux else "networks.lora"}


def main(arguments: list[str] | None = None) -> int:
    """The command; 0, or 2 with the reason on stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m backends.engine.export", description="What a run learnt in another program's layout.")
    parser.add_argument("source", type=Path, metavar="IN", help="lora.safetensors or unet.safetensors of a run or checkpoint")
    parser.add_argument("target", type=Path, metavar="OUT", help="the file (with --layout folder: the folder) to write")
    parser.add_argument("--layout", choices=(*LAYOUTS, *WHOLE_LAYOUTS), default="kohya")
    parser.add_argument("--base", default=None, help="of all weights: the base model, where the run's folder does not tell")
    parser.add_argument("--dtype", choices=("fp32", "fp16", "bf16"), default="fp32", help="of all weights: what they are stored in")
    chosen = parser.parse_args(arguments)
    try:
        export(chosen.source, chosen.target, chosen.layout, base=chosen.base, dtype=chosen.dtype)
    except DarkroomError as error:
        log.error("%s", error.text)
        return 2
    log.info("Written: %s", chosen.target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
