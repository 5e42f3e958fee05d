"""What a step takes, counted on tensors without numbers: needs no GPU and no memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.bare import BareLoop
from bench.random_models import META, Sizes, build_random, outline_encoders
from bench.trainings import Case


def count_step(case: Case, sizes: Sizes | None = None) -> int:
    """Operations of one step's forward and backward pass: what a step needs, whatever stores or repeats."""
    loop = BareLoop(build_random(case.backend.family, device=META, dtype=torch.float32, sizes=sizes), case, device=META)
    return count_operations(loop.find_gradients)


def count_pictures(case: Case) -> int:
    """Operations that encoding the pictures of one step takes."""
    vae = build_random(case.backend.family, device=META, dtype=torch.float32).vae
    pictures = case.batch_size * (2 if case.backend.method == "instruct_pix2pix" else 1)
    return count_operations(lambda: vae.encode(torch.empty(pictures, 3, case.resolution, case.resolution, device=META)))


def count_words(case: Case) -> int:
    """Operations that encoding the captions of one step takes, each as long as it may be."""
    encoders = outline_encoders(case.backend.family)
    return sum(count_operations(lambda e=e, n=n: e(torch.zeros(case.batch_size, n, dtype=torch.long, device=META))) for e, n in encoders)


def count_operations(work: Callable[[], object]) -> int:
    """Floating point operations of it, whatever the machine's load."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()
