"""What storing a frozen denoiser small needs and saves. Torch-free."""

from __future__ import annotations

import importlib.util

from backends.contract.errors import DarkroomError

FIELD = "quantize_base"
PACKAGES = {"int8": "torchao", "float8": "torchao", "nf4": "bitsandbytes"}
# Weights of the denoisers' linear layers, the only ones that are stored small; counted from assets/configs.
LINEAR_WEIGHTS = {"sd15": 270_049_280, "sdxl": 2_232_647_680, "flux": 11_898_322_944}
# Bytes a weight: one; or half of one and a float32 for each 64 (QLoRA, arXiv 2305.14314, section 3, without double quantisation).
STORED_BYTES = {"int8": 1.0, "float8": 1.0, "nf4": 0.5 + 4 / 64}


def compute_saved_gb(family: str, choice: str, *, bytes_a_weight: int = 2) -> float:
    """Memory that the choice saves, in 10**9 bytes, against weights of so many bytes; 0 for none."""
    if choice not in STORED_BYTES:
        return 0.0
    return LINEAR_WEIGHTS[family] * (bytes_a_weight - STORED_BYTES[choice]) / 1e9


def check_quantization(choice: str, device: str) -> None:
    """Refuses what this machine cannot do, before anything is fetched.

    Args:
        choice: none, int8, float8 or nf4.
        device: Where it will run: cpu, cuda or another that torch knows.

    Raises:
        DarkroomError: When the device cannot compute so, or the package is missing.
    """
    if choice not in PACKAGES:
        return
    if choice == "nf4" and device != "cuda":
        raise DarkroomError(
            f"The base model is to be stored as nf4, which needs an NVIDIA GPU; this run is on a {device.upper()}. Choose int8, or none.",
            field=FIELD,
        )
    package = PACKAGES[choice]
    if importlib.util.find_spec(package) is None:
        raise DarkroomError(
            f"The base model is to be stored as {choice}, but {package} is not installed. Install it with: pip install {package}. "
            "Or choose none.",
            field=FIELD,
        )
