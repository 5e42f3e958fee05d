"""What a LoRA file says about itself, read from its header alone and checked before anything is loaded. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.contract.tensor_file import Purpose, TensorHeader, read_header

_FAMILY_BY_WIDTH = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}
_DOWN = re.compile(r"(\.lora_A\.weight|\.lora_down\.weight|\.lora\.down\.weight|_lora\.down\.weight)$")
_PURPOSE = Purpose(use="a LoRA", field="loras", gone="The LoRA")


@dataclass(frozen=True)
class AdapterHeader(TensorHeader):
    """What the header of a LoRA file says."""

    @property
    def rank(self) -> int:
        """The largest rank of its modules; 0 when it has none."""
        return max((t.shape[0] for n, t in self.tensors.items() if _DOWN.search(n) and t.shape), default=0)

    @property
    def made_for(self) -> str:
        """The model family that its keys and shapes speak of, or an empty text where they do not tell."""
        names = self.tensors
        if any(n.startswith(("transformer.", "lora_transformer_", "lora_unet_double_blocks", "lora_unet_single_blocks")) for n in names):
            return "Flux or another transformer"
        widths = {t.shape[1] for n, t in names.items() if re.search(r"attn2[._]to_k", n) and _DOWN.search(n) and len(t.shape) >= 2}
        return _FAMILY_BY_WIDTH.get(max(widths), f"a model with text width {max(widths)}") if widths else ""


def read_adapter_header(path: Path) -> AdapterHeader:
    """The checked header of a LoRA's safetensors file. Reads no tensor.

    Raises:
        DarkroomError: When the file is missing, of another format, torn, or lies about its contents.
    """
    header = read_header(path, _PURPOSE)
    return AdapterHeader(header.metadata, header.tensors, header.data_start)
