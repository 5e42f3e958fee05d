"""What the studio chooses by itself until a person chooses: the base model, the preset, the prompts of the samples."""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract.base_models import find_base_model, is_bundled
from backends.contract.caption_reading import has_word
from studio.runs.hardware import LARGE_GPU_GB, Hardware, probe_hardware
from studio.runs.presets import Preset, load_presets
from studio.web.context import Context

TASKS = {"subject": "A subject", "style": "A style", "edit": "An edit"}


def choose_base_model(context: Context, dataset_id: str) -> str:
    """The base model of the data set's newest run, or the one that suits this machine."""
    runs = context.runs.runs_of(dataset_id) if context.runs else []
    return runs[0].base_model if runs and runs[0].base_model else choose_preset("subject", None).base_model


def same_base(one: str, other: str) -> bool:
    """Whether two names lead to the same base model: `sdxl` and its hub id do."""
    return _base_name(one) == _base_name(other)


def _base_name(name: str) -> str:
    known = find_base_model(name)
    return known.key if known else name


def presets_for(task: str, base_model: str, presets: Sequence[Preset] | None = None) -> list[Preset]:
    """The presets for this task that start from this base model; for a base of one's own those of its likely family."""
    known = load_presets() if presets is None else list(presets)
    fitting = [p for p in known if p.task == task and same_base(p.base_model, base_model)]
    return fitting or [p for p in known if p.task == task and not is_bundled(p.base_model)]


def choose_preset(task: str, base_model: str | None, hardware: Hardware | None = None) -> Preset:
    """The preset to begin with: the strongest that this machine's memory carries, the pocket one where there is no GPU."""
    machine = hardware or probe_hardware()
    offered = presets_for(task, base_model) if base_model else [p for p in load_presets() if p.task == task]
    offered = offered or load_presets()
    memory = machine.largest_gpu_gb
    if base_model is None and memory < LARGE_GPU_GB - 0.5:
        offered = [p for p in offered if is_bundled(p.base_model)] or offered
    fitting = [p for p in offered if (p.gpu_memory_gb or 0) <= memory + 0.5 and p.gpus <= max(1, len(machine.gpus))]
    if base_model is None and memory >= LARGE_GPU_GB - 0.5:
        fitting = [p for p in fitting if not is_bundled(p.base_model)] or fitting
    if not fitting:
        return min(offered, key=lambda p: p.gpu_memory_gb or 0)
    top = max(p.gpu_memory_gb or 0 for p in fitting)
    return next(p for p in fitting if (p.gpu_memory_gb or 0) == top)


def compute_sample_prompts(captions: Sequence[str], trigger_word: str, suggested: Sequence[str] = (), limit: int = 5) -> list[str]:
    """Prompts that show what a run learns: the preset's own, captions that it sees, and one without the trigger word.

    Args:
        captions: Of the data set; two of them, far apart, show how well it remembers.
        trigger_word: Of the data set; may be empty.
        suggested: The preset's prompts with the word filled in; they show what it can combine.
        limit: How many prompts at most.
    """
    written = list(dict.fromkeys(" ".join(c.split()) for c in captions if c.strip()))
    ours = [c for c in written if has_word(c, trigger_word)] or written
    remembered = list(dict.fromkeys([ours[0], ours[len(ours) // 2]])) if ours else []
    without = next((s for s in suggested if not has_word(s, trigger_word)), "a cat on a blue background")
    combined = [s for s in suggested if has_word(s, trigger_word) and s not in remembered]
    if not combined and trigger_word:
        combined = [f"{trigger_word} on a purple background"]
    return [*[*combined, *remembered][: limit - 1], without]  # the first one stands for the run wherever it is shown small
