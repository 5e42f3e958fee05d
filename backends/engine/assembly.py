"""Puts one run together: base model, pictures, caches, adapters, optimizer; the order is that of the memory they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from backends.contract.base_models import find_base_model
from backends.contract.buckets import Placement
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.contract.schedule import compute_steps
from backends.engine.adapters import Adapters
from backends.engine.cache import EncodedCache
from backends.engine.ground import Ground, cache_folder, ensure_on_rank_0, lay_ground, load_class, load_family, share_of
from backends.engine.heldout import HeldOut, plan_evaluations
from backends.engine.loop import Cadence, LossModule, Progress, Training
from backends.engine.manifest import compute_dataset_hash, ensure_manifest, limit_rows, read_manifest
from backends.engine.optimizers import Updater, build_lr_curve, build_optimizer
from backends.engine.order import Pick, SampleOrder
from backends.engine.pictures import place_pictures
from backends.engine.recipe import Recipe
from backends.engine.reporter import Reporter, StepLog
from backends.engine.sampling import Sampler, SampleSettings, plan_jobs
from backends.engine.saving import Saver
from backends.engine.sources import (
    EncodedPrompts,
    LivePictures,
    LivePrompts,
    PromptSource,
    Source,
    TokenPrompts,
    encode_pictures,
    encode_prompts,
)
from backends.engine.trackers import open_tracker
from backends.families.protocol import Family
from backends.methods.protocol import Item, Method
from backends.registry import Backend


def assemble(run: RunDir, backend: Backend, config: Any, reporter: Reporter, *, resume: str | None) -> Training:
    """A run, ready for its next step.

    Raises:
        DarkroomError: When something is missing or cannot be done as set.
        StoppedEarlier: When a stop was asked for meanwhile.
    """
    ground = lay_ground(run, backend, config, reporter, resume=resume)
    reporter.phase("loading", note=str(config.pretrained_model_name_or_path))
    family = load_family(ground)
    ensure_on_rank_0(ground, lambda: ensure_manifest(run, config, held_out_share=config.held_out_share))
    rows = limit_rows(read_manifest(run.manifest), config.max_train_samples, ground.seed)
    method: Method = load_class(backend.method_class)(family, config)
    items = method.build_items(rows)
    placements = place_items(items, config)
    ground.check_stop()
    reporter.phase("caching", 0, len(items))
    data = build_data(ground, family, items, placements)
    ground.check_stop()
    return build_training(ground, family, method, items, placements, data=data, dataset_hash=compute_dataset_hash(rows))


def place_items(items: list[Item], config: Any) -> list[Placement]:
    """How each sample comes to its bucket."""
    base = find_base_model(config.pretrained_model_name_or_path)
    sizes = [(item.width, item.height) for item in items]
    return place_pictures(sizes, resolution=config.resolution, step=base.bucket_step if base else 64, square=config.center_crop)


@dataclass
class Data:
    """Where batches come from, for training and for judging, and what samples are told."""

    order: SampleOrder
    source: Source
    judge_source: Source
    sample_prompts: Callable[[], PromptSource]


def build_data(ground: Ground, family: Family, items: list[Item], placements: list[Placement]) -> Data:
    """Encodes what may be encoded once, and frees the encoders where they are no longer needed."""
    c, a = ground.config, ground.accelerator
    training = [i for i, item in enumerate(items) if not item.held_out]
    if not training:
        raise DarkroomError("All pictures are held out; none is left to train on. Add pictures, or lower Held out.", field="held_out_share")
    order = _TrainingOrder(training, [placements[i].bucket for i in training], ground, c)
    live_prompts: PromptSource = LivePrompts(family)
    if c.train_text_encoder:
        prompts: PromptSource = TokenPrompts(family, a.device)
    elif c.cache_latents:
        prompts = encode_all_prompts(ground, family, items)
        live_prompts = prompts
    else:
        prompts = live_prompts
    if not c.cache_latents:
        workers = c.dataloader_num_workers
        upcoming = partial(order.pick, rank=a.process_index)
        source = LivePictures(family, items, placements, prompts=prompts, upcoming=upcoming, workers=workers)
        return Data(order, source, LivePictures(family, items, placements, prompts=prompts), lambda: live_prompts)
    encoded = encode_pictures(
        family,
        items,
        placements,
        cache=EncodedCache(cache_folder(ground.run)),
        prompts=prompts,
        mirrored=c.random_flip,
        device=a.device,
        share=share_of(ground, "pictures"),
    )
    if not c.train_text_encoder:
        family.free_encoders()
    return Data(order, encoded, encoded, lambda: live_prompts)


class _TrainingOrder(SampleOrder):
    """Orders the training samples only, but speaks of them by their number among all samples."""

    def __init__(self, training: list[int], groups: list[Any], ground: Ground, config: Any) -> None:
        super().__init__(
            groups,
            seed=ground.seed,
            batch_size=config.train_batch_size,
            ranks=ground.accelerator.num_processes,
            flip_share=0.5 if config.random_flip else 0.0,
            drop_share=config.caption_dropout,
        )
        self._training = training

    def pick(self, position: int, rank: int = 0) -> Pick:
        """The samples of `rank` at micro-step `position`, by their numbers among all samples."""
        found = super().pick(position, rank)
        return replace(found, indices=[self._training[i] for i in found.indices])


def encode_all_prompts(ground: Ground, family: Family, items: list[Item]) -> EncodedPrompts:
    """Captions, sample prompts and the empty prompt."""
    c = ground.config
    texts = [item.caption for item in items] + list(c.sample_prompts) + ([c.validation_prompt] if c.validation_prompt else []) + [""]
    return encode_prompts(
        family, texts, EncodedCache(cache_folder(ground.run)), device=ground.accelerator.device, share=share_of(ground, "captions")
    )


def build_training(
    ground: Ground, family: Family, method: Method, items: list[Item], placements: list[Placement], *, data: Data, dataset_hash: str
) -> Training:
    """Adapters, optimizer, judge, sampler and saver around the data; the checkpoint's state put in."""
    c, a, run = ground.config, ground.accelerator, ground.run
    adapters = Adapters(method.adapters(), rank=c.rank, alpha=c.lora_alpha, dropout=c.lora_dropout, seed=ground.seed)
    cadence = build_cadence(ground, items)
    updater = build_updater(ground, adapters, cadence)
    progress = restore(ground, adapters, updater)
    bare = LossModule(method, adapters.modules)
    model = a.prepare(bare)
    recipe = Recipe(
        c, backend=ground.backend.name, family=family, adapters=adapters, items=items, dataset_hash=dataset_hash, seed=ground.seed
    )
    saver = Saver(
        run,
        recipe,
        reporter=ground.reporter,
        settings={**c.model_dump(mode="json"), "seed": ground.seed},
        limit=c.checkpoints_total_limit,
        active=a.is_main_process,
        is_stop_wanted=ground.requests.is_stop_wanted,
    )
    prompts = [(text, c.num_sample_seeds) for text in c.sample_prompts]
    whole = plan_jobs([*prompts, *([(c.validation_prompt, c.num_validation_images)] if c.validation_prompt else [])], c.sample_seed)
    return Training(
        seed=ground.seed,
        rank=a.process_index,
        device=a.device,
        progress=progress,
        cadence=cadence,
        method=method,
        model=model,
        bare_model=bare,
        adapters=adapters,
        updater=updater,
        order=data.order,
        source=data.source,
        held_out=build_held_out(ground, family, method, items, placements, data=data),
        item_names=[next(iter(item.pictures.values())).name for item in items],
        sampler=build_sampler(ground, family, data) if a.is_main_process else None,
        sample_jobs=[job for job in whole if job.prompt < len(prompts)],
        validation_jobs=[job for job in whole if job.prompt >= len(prompts)],
        saver=saver,
        requests=ground.requests,
        reporter=ground.reporter,
        step_log=StepLog(a.device),
        no_sync=lambda: a.no_sync(model),
        autocast=a.autocast,
        average=lambda values: a.reduce(values, "mean") if a.num_processes > 1 else values,
        add_up=lambda values: a.reduce(values.to(a.device), "sum").cpu() if a.num_processes > 1 else values,
        track=open_tracker(a, c, run, ground.reporter),
        debug_loss=c.debug_loss,
    )


def build_cadence(ground: Ground, items: list[Item]) -> Cadence:
    """When what happens."""
    c = ground.config
    training, ranks = sum(1 for item in items if not item.held_out), ground.accelerator.num_processes
    steps = c.max_train_steps or compute_steps(
        training, epochs=c.num_train_epochs, batch_size=c.train_batch_size, accumulation=c.gradient_accumulation_steps, processes=ranks
    )
    if c.lr_warmup_steps >= steps and c.lr_scheduler != "constant":
        ground.reporter.notice(
            f"Warm-up is {c.lr_warmup_steps} steps and the run has {steps}: the learning rate never reaches {c.learning_rate:g}.", "warning"
        )
    return Cadence(
        total_steps=steps,
        log=c.log_every,
        judge=c.held_out_every,
        sample=c.sample_every,
        save=c.checkpointing_steps,
        validate_epochs=c.validation_epochs if c.validation_prompt else 0,
        patience=c.early_stopping_patience,
        samples_a_pass=training,
        batch_size=c.train_batch_size,
        accumulation=c.gradient_accumulation_steps,
        ranks=ranks,
    )


def build_updater(ground: Ground, adapters: Adapters, cadence: Cadence) -> Updater:
    """The optimizer and its learning-rate curve."""
    c = ground.config
    peak = c.learning_rate * (c.train_batch_size * cadence.accumulation * cadence.ranks if c.scale_lr else 1)
    optimizer = build_optimizer(
        adapters.parameters(),
        learning_rate=peak,
        betas=(c.adam_beta1, c.adam_beta2),
        weight_decay=c.adam_weight_decay,
        epsilon=c.adam_epsilon,
        eight_bit=c.use_8bit_adam,
    )
    curve = build_lr_curve(
        c.lr_scheduler, warmup_steps=c.lr_warmup_steps, total_steps=cadence.total_steps, cycles=c.lr_num_cycles, power=c.lr_power, peak=peak
    )
    scaler = torch.amp.GradScaler(ground.accelerator.device.type) if ground.accelerator.mixed_precision == "fp16" else None
    return Updater(optimizer, curve=curve, max_norm=c.max_grad_norm, scaler=scaler)


def restore(ground: Ground, adapters: Adapters, updater: Updater) -> Progress:
    """The checkpoint's state put into adapters and optimizer, or a fresh start."""
    found = ground.checkpoint
    if found is None:
        return Progress()
    adapters.load_state(found.adapter)
    updater.load_state(list(adapters.named_parameters()), found.optimizer, found.values["optimizer"])
    ground.reporter.write("state", state="running", step=found.step, reason=f"Going on from step {found.step}.")
    judgements = [(int(step), float(loss), float(error)) for step, loss, error in found.values["judgements"]]
    return Progress(found.step, judgements, int(found.values["bad_in_a_row"]))


def build_held_out(
    ground: Ground, family: Family, method: Method, items: list[Item], placements: list[Placement], *, data: Data
) -> HeldOut | None:
    """The judge, or None (and a notice) where no picture is held out."""
    c = ground.config
    held_out = [i for i, item in enumerate(items) if item.held_out]
    if not held_out:
        ground.reporter.notice("No picture is held out, so this run is not judged: whether it learnt must be seen in its samples.")
        return None
    each = c.train_batch_size * c.gradient_accumulation_steps * ground.accelerator.num_processes
    return HeldOut(
        data.judge_source,
        method,
        evaluations=plan_evaluations(held_out, samples_between=each * c.held_out_every),
        placements=placements,
        schedule=family.schedule,
        seed=ground.seed,
        batch_size=max(8 if ground.accelerator.device.type == "cpu" else 2, c.train_batch_size),
    )


def build_sampler(ground: Ground, family: Family, data: Data) -> Sampler:
    """Draws samples as the settings say, or as suits the base model."""
    c = ground.config
    base = find_base_model(c.pretrained_model_name_or_path)
    settings = SampleSettings(
        width=c.resolution,
        height=c.resolution,
        steps=c.sample_steps or (base.num_inference_steps if base else 30),
        guidance_scale=c.sample_guidance_scale if c.sample_guidance_scale is not None else (base.guidance_scale if base else 6.0),
        batch_size=8 if ground.accelerator.device.type == "cpu" else max(1, min(4, c.train_batch_size)),
    )
    return Sampler(
        family,
        data.sample_prompts,
        run=ground.run,
        reporter=ground.reporter,
        settings=settings,
        is_cancelled=ground.requests.is_stop_wanted,
    )
