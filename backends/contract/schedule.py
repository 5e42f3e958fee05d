"""How passes over the pictures become steps. Torch-free, so that the forecast and the trainer count alike."""

from __future__ import annotations

import math


def compute_steps(num_training: int, *, epochs: int, batch_size: int, accumulation: int = 1, processes: int = 1) -> int:
    """Steps in which every picture is seen `epochs` times on average; at least 1.

    One step takes `batch_size * accumulation * processes` pictures.
    """
    return max(1, math.ceil(epochs * num_training / (batch_size * accumulation * processes)))


def compute_epoch(num_training: int, *, step: int, batch_size: int, accumulation: int = 1, processes: int = 1) -> int:
    """Whole passes that are done after `step` steps."""
    return step * batch_size * accumulation * processes // max(1, num_training)
