"""How the ranks of a run share its model: a whole one on each (DDP), or all weights divided over them (torch's FSDP2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from backends.contract.errors import DarkroomError
from backends.engine.precision import DTYPES
from backends.engine.reporter import Reporter
from backends.families.protocol import Family


class Sharing(Protocol):
    """What the engine must know of where the weights lie; the loop is the same for all."""

    gathers: bool
    """Whether what is saved must be gathered by all ranks, or rank 0 has it all."""

    def wake(self, family: Family) -> None:
        """Brings what predicts to its device, where it is not brought there piece by piece."""

    def divide(self, module: torch.nn.Module) -> torch.nn.Module:
        """The same module, of which this rank keeps its share from now on."""

    def wrap(self, bare: torch.nn.Module) -> torch.nn.Module:
        """The loss as the loop calls it: in the run's precision, its gradients averaged over the ranks."""

    def no_sync(self, model: torch.nn.Module) -> AbstractContextManager[Any]:
        """For the micro-steps before the last one of a step."""

    def whole(self) -> AbstractContextManager[Any]:
        """While it lasts a rank may go forward alone; all ranks must begin it together."""


class Copies:
    """The whole model on each rank; a run of one rank is this too."""

    gathers = False

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator

    def wake(self, family: Family) -> None:
        """All of it."""
        family.wake()

    def divide(self, module: torch.nn.Module) -> torch.nn.Module:
        """All of it."""
        return module

    def wrap(self, bare: torch.nn.Module) -> torch.nn.Module:
        """DDP, where there are several ranks."""
        wrapped: torch.nn.Module = self._accelerator.prepare(bare)
        return wrapped

    def no_sync(self, model: torch.nn.Module) -> AbstractContextManager[Any]:
        """Gradients add up on each rank and are averaged once."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(model)
        return context

    def whole(self) -> AbstractContextManager[Any]:
        """It always is."""
        return nullcontext()


class Shards:
    """All weights of what is trained, cut block by block over the ranks; each block is gathered while it computes and let go again.

    So are the gradients, the optimizer's moments and the average, which belong to the pieces. The weights stay float32; in a lower
    precision they are gathered in it, which halves what travels, and gradients are averaged in float32.
    """

    gathers = True

    def __init__(self, accelerator: Accelerator, reporter: Reporter) -> None:
        if accelerator.mixed_precision == "fp16":  # chosen for a GPU without bf16
            raise DarkroomError(
                "A divided model (fsdp2) is not trained in fp16. Set Precision to no, or share the work by ddp.", field="mixed_precision"
            )
        self._accelerator, self._reporter = accelerator, reporter
        self._root: Any = None

    def wake(self, family: Family) -> None:
        """Nothing yet: `divide` brings each block, so that the whole of it need never find room on one GPU."""

    def divide(self, module: torch.nn.Module) -> torch.nn.Module:
        """Cuts the blocks that the architecture says belong together, and what is left over as one more."""
        a = self._accelerator
        computes = None if a.mixed_precision == "no" else DTYPES[a.mixed_precision]
        how: dict[str, Any] = {
            "mesh": init_device_mesh(a.device.type, (a.num_processes,)),
            # The inputs stay as they are: a timestep in bf16 would be another timestep. Autocast sees to the rest, as with DDP.
            "mp_policy": MixedPrecisionPolicy(param_dtype=computes, reduce_dtype=torch.float32, cast_forward_inputs=False),
            # What is left over is let go too: else it would stay as it was when the average takes its place or leaves it.
            "reshard_after_forward": True,
        }
        module.float()  # what is cut is what is trained
        for block in [*list_blocks(module), module]:
            fully_shard(block, **how)
        self._root = module
        self._tell(list(module.parameters()))
        return module

    def wrap(self, bare: torch.nn.Module) -> torch.nn.Module:
        """Autocast alone: the blocks average their gradients themselves."""
        wrapped: torch.nn.Module = self._accelerator.prepare_model(bare, device_placement=False, evaluation_mode=True)
        return wrapped

    def no_sync(self, model: torch.nn.Module) -> AbstractContextManager[Any]:
        """Each micro-step is averaged: gradients that wait for the last one would wait undivided, and memory is what is short."""
        return nullcontext()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Gathers all weights on every rank, in the run's precision, so that a rank may draw, be cut short or fail without the others."""
        parts, passes = [part for part in self._root.modules() if isinstance(part, FSDPModule)], []
        counting = self._root.register_forward_pre_hook(lambda *_: passes.append(1))
        self._root.set_reshard_after_forward(False)
        for part in parts:
            part.unshard()
        try:
            yield
        finally:
            counting.remove()
            if passes:  # which only this rank made, and perhaps not to their end: torch must forget them
                self._root.reset_iter_state()
            for part in parts:
                part.reshard()
            self._root.set_reshard_after_forward(True)

    def _tell(self, parameters: list[torch.nn.Parameter]) -> None:
        own, total = count_own(parameters), sum(p.numel() for p in parameters)
        count = self._accelerator.num_processes
        self._reporter.notice(
            f"The weights are divided over {count} processes (FSDP2): this one keeps {own:,} of {total:,} numbers, with gradients and "
            "the optimizer’s memory of them."
        )


def count_own(parameters: list[torch.nn.Parameter]) -> int:
    """Numbers that lie on this rank."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters)


def list_blocks(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The smallest modules that diffusers says are not to be split further."""
    names = set(getattr(module, "_no_split_modules", None) or ())
    found = [part for part in module.modules() if type(part).__name__ in names]
    return [part for part in found if not any(type(inner).__name__ in names for inner in list(part.modules())[1:])]
