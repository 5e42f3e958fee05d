"""Puts one run together: base model, pictures, caches, adapters, optimizer; the order is that of the memory they need."""

from __future__ import annotations

from typing import Any

import torch

from backends.contract.base_models import find_base_model
from backends.contract.rundir import RunDir
from backends.contract.schedule import compute_steps
from backends.engine.adapters import Adapters, AdapterShape
from backends.engine.data import Data, build_data, list_run_buckets
from backends.engine.drawn import ensure_drawn
from backends.engine.ground import Ground, ensure_on_rank_0, lay_ground, load_class, load_family
from backends.engine.heldout import FixedEvaluations, HeldOut, plan_evaluations
from backends.engine.loop import Cadence, LossModule, Progress, Training
from backends.engine.manifest import compute_dataset_hash, ensure_manifest, limit_rows, read_manifest
from backends.engine.optimizers import OptimizerPlan, Updater, average_of, build_groups, build_lr_curve, build_optimizer
from backends.engine.picture_losses import PictureLosses, plan_picture_evaluations
from backends.engine.pictures import place_item
from backends.engine.recipe import Recipe, describe_dataset
from backends.engine.reporter import Reporter, StepLog
from backends.engine.sampling import Sampler, SampleSettings, plan_jobs
from backends.engine.saving import Saver
from backends.engine.shards.data import build_streamed_data, open_samples
from backends.engine.trackers import open_trackers
from backends.engine.trained import Averaged, MovingAverage, Trained, WholeModule
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
    kind = load_class(backend.method_class)
    family = load_family(ground, trains_denoiser=kind.trains == "denoiser")
    samples = open_samples(ground)
    if samples is None:
        ensure_on_rank_0(ground, lambda: ensure_manifest(run, config, held_out_share=config.held_out_share))
    rows = read_manifest(run.manifest, streamed=samples is not None)
    if samples is None:
        rows = limit_rows(rows, getattr(config, "max_train_samples", None), ground.seed)
    wish = kind.wish_pictures(config)
    if samples or wish or not config.cache_latents or getattr(config, "train_text_encoder", False):
        ground.sharing.wake(family)  # it draws, or its encoders stay beside it
    drawn = ensure_drawn(ground, family, wish, build_sample_settings(ground)) if wish else []  # before anything changes the model
    method: Method = kind(family, config)
    items, buckets = method.build_items([*rows, *drawn]), list_run_buckets(config)
    placements = [place_item(item, buckets) for item in items]
    ground.check_stop()
    reporter.phase("caching", 0, len(items))
    if samples is not None:
        data = build_streamed_data(ground, family, method, samples, judging=(items, placements))
    else:
        data = build_data(ground, family, method, items, placements)
    ground.sharing.wake(family)
    ground.check_stop()
    told = samples.fingerprint if samples is not None else compute_dataset_hash(rows)
    return build_training(ground, family, method, items, data=data, dataset_hash=told)


def build_training(ground: Ground, family: Family, method: Method, items: list[Item], *, data: Data, dataset_hash: str) -> Training:
    """What is trained, optimizer, judge, sampler and saver around the data; the checkpoint's state put in."""
    c, a, run = ground.config, ground.accelerator, ground.run
    weights = build_weights(ground, family, method)
    cadence = build_cadence(ground, data.training)
    updater = build_updater(ground, weights, cadence)
    trained = average_weights(c, weights, updater)
    progress = restore(ground, trained, updater)
    bare = LossModule(method, trained.modules)
    model = ground.sharing.wrap(bare)
    recipe = Recipe(
        c,
        backend=ground.backend.name,
        family=family,
        trained=trained,
        items=items,
        dataset=describe_dataset(items, dataset_hash) | {"pictures": data.training},
        seed=ground.seed,
    )
    saver = Saver(
        run,
        recipe,
        reporter=ground.reporter,
        settings={**c.model_dump(mode="json"), "seed": ground.seed},
        limit=c.checkpoints_total_limit,
        active=a.is_main_process,
        gathers=ground.sharing.gathers,
        is_stop_wanted=ground.requests.is_stop_wanted,
    )
    plans = method.plan_samples(items)
    return Training(
        seed=ground.seed,
        rank=a.process_index,
        device=a.device,
        progress=progress,
        cadence=cadence,
        method=method,
        model=model,
        bare_model=bare,
        trained=trained,
        updater=updater,
        order=data.order,
        source=data.source,
        held_out=build_held_out(ground, family, method, items, data=data),
        picture_losses=build_picture_losses(ground, family, method, items, data=data),
        sampler=build_sampler(ground, family, data) if a.is_main_process else None,
        sample_jobs=plan_jobs(plans, c.sample_seed),
        validation_jobs=plan_jobs(method.plan_validation(items), c.sample_seed, first_prompt=len(plans)),
        saver=saver,
        requests=ground.requests,
        reporter=ground.reporter,
        step_log=StepLog(a.device),
        sharing=ground.sharing,
        autocast=a.autocast,
        average=lambda values: a.reduce(values, "mean") if a.num_processes > 1 else values,
        add_up=lambda values: a.reduce(values.to(a.device), "sum").cpu() if a.num_processes > 1 else values,
        trackers=open_trackers(a, c, run, ground.reporter),
    )


def build_cadence(ground: Ground, training: int) -> Cadence:
    """When what happens, with so many training samples."""
    c, ranks = ground.config, ground.accelerator.num_processes
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


def build_weights(ground: Ground, family: Family, method: Method) -> Trained:
    """What the method trains: adapters, or all weights of what predicts."""
    c = ground.config
    if method.trains == "denoiser":
        component, module = family.denoiser()
        return WholeModule(component, ground.sharing.divide(module))
    shape = AdapterShape(rank=c.rank, alpha=c.lora_alpha, dropout=c.lora_dropout, variant=c.lora_variant)
    return Adapters(family.adapter_targets(c.lora_layers, text_encoders=c.train_text_encoder), shape, seed=ground.seed)


def average_weights(config: Any, weights: Trained, updater: Updater) -> Trained:
    """The same, or with the average that is used in its place: a moving one, or that of the schedule-free optimizer."""
    if config.use_ema:
        average = MovingAverage(weights.parameters(), config.ema_decay)
        return Averaged(weights, average.values, average.follow)
    if config.optimizer == "schedule_free":
        return Averaged(weights, lambda: average_of(updater.optimizer, weights.parameters()), lambda step: None)
    return weights


def build_updater(ground: Ground, weights: Trained, cadence: Cadence) -> Updater:
    """The optimizer and its learning-rate curve."""
    c = ground.config
    peak = c.learning_rate * (c.train_batch_size * cadence.accumulation * cadence.ranks if c.scale_lr else 1)
    plan = OptimizerPlan(
        learning_rate=peak,
        betas=(c.adam_beta1, c.adam_beta2),
        weight_decay=c.adam_weight_decay,
        epsilon=c.adam_epsilon,
        kind=c.optimizer,
        eight_bit=c.use_8bit_adam,
        prodigy={
            "beta3": c.prodigy_beta3,
            "decouple": c.prodigy_decouple,
            "use_bias_correction": c.prodigy_use_bias_correction,
            "safeguard_warmup": c.prodigy_safeguard_warmup,
        },
    )
    text_rate = getattr(c, "text_encoder_lr", None) if getattr(c, "train_text_encoder", False) else None
    if c.optimizer == "prodigy":
        tell_prodigy(ground, text_rate)
    shares = {} if text_rate is None or c.optimizer == "prodigy" else {"text_encoder": text_rate / peak}
    optimizer = build_optimizer(build_groups(weights.named_parameters(), shares), plan)
    curve = build_lr_curve(
        c.lr_scheduler, warmup_steps=c.lr_warmup_steps, total_steps=cadence.total_steps, cycles=c.lr_num_cycles, power=c.lr_power, peak=peak
    )
    scaler = torch.amp.GradScaler(ground.accelerator.device.type) if ground.accelerator.mixed_precision == "fp16" else None
    return Updater(optimizer, curve=curve, max_norm=c.max_grad_norm, scaler=scaler)


def tell_prodigy(ground: Ground, text_rate: float | None) -> None:
    """What Prodigy makes of learning rates: it finds one for all, and multiplies it by that of the settings."""
    rate = ground.config.learning_rate
    if rate <= 0.1:
        ground.reporter.notice(
            f"The learning rate is {rate:g} and the optimizer prodigy, which multiplies the rate that it finds by it. Set it to 1.",
            "warning",
        )
    if text_rate is not None:
        ground.reporter.notice(f"Prodigy finds one learning rate for all: that of the text encoders, {text_rate:g}, is not used.")


def restore(ground: Ground, trained: Trained, updater: Updater) -> Progress:
    """The checkpoint's state put into weights and optimizer, or a fresh start."""
    found = ground.checkpoint
    if found is None:
        return Progress()
    live = {key: tensor for key, tensor in found.optimizer.items() if key.startswith("live/")}
    trained.load_state(found.weights, live)
    kept = {key: tensor for key, tensor in found.optimizer.items() if key not in live}
    updater.load_state(trained.named_parameters(), kept, found.values["optimizer"])
    ground.reporter.write("state", state="running", step=found.step, reason=f"Going on from step {found.step}.")
    judgements = [(int(step), float(loss), float(error)) for step, loss, error in found.values["judgements"]]
    return Progress(found.step, judgements, int(found.values["bad_in_a_row"]))


def build_held_out(ground: Ground, family: Family, method: Method, items: list[Item], *, data: Data) -> HeldOut | None:
    """The judge, or None (and a notice) where no picture is held out."""
    c = ground.config
    held_out = [i for i, item in enumerate(items) if item.held_out]
    if not held_out:
        ground.reporter.notice("No picture is held out, so this run is not judged: whether it learnt must be seen in its samples.")
        return None
    each = c.train_batch_size * c.gradient_accumulation_steps * ground.accelerator.num_processes
    plan = plan_evaluations(held_out, samples_between=each * c.held_out_every)
    return HeldOut(fix_evaluations(ground, family, method, data, plan), ground.run.heldout_start, active=ground.accelerator.is_main_process)


def build_picture_losses(ground: Ground, family: Family, method: Method, items: list[Item], *, data: Data) -> PictureLosses | None:
    """What asks about each training picture, where the settings want it."""
    if not getattr(ground.config, "debug_loss", False):
        return None
    plan = plan_picture_evaluations([i for i, item in enumerate(items) if not item.held_out], ground.seed)
    asked = [items[i] for i in dict.fromkeys(sample for sample, _, _ in plan)]
    evaluations = fix_evaluations(ground, family, method, data, plan)
    return PictureLosses(evaluations, asked, ground.run, active=ground.accelerator.is_main_process)


def fix_evaluations(ground: Ground, family: Family, method: Method, data: Data, plan: list[tuple[int, int, int]]) -> FixedEvaluations:
    """The same questions at every judgement."""
    return FixedEvaluations(
        data.judge_source,
        method,
        evaluations=plan,
        groups=data.groups,
        schedule=family.schedule,
        seed=ground.seed,
        batch_size=max(8 if ground.accelerator.device.type == "cpu" else 2, ground.config.train_batch_size),
    )


def build_sample_settings(ground: Ground) -> SampleSettings:
    """How samples are drawn: as the settings say, or as suits the base model."""
    c = ground.config
    base = find_base_model(c.pretrained_model_name_or_path)
    keep = getattr(c, "sample_image_guidance_scale", None)
    return SampleSettings(
        width=c.resolution,
        height=c.resolution,
        steps=c.sample_steps or (base.num_inference_steps if base else 30),
        guidance_scale=c.sample_guidance_scale if c.sample_guidance_scale is not None else (base.guidance_scale if base else 6.0),
        batch_size=8 if ground.accelerator.device.type == "cpu" else max(1, min(4, c.train_batch_size)),
        buckets=list_run_buckets(c),
        image_guidance_scale=1.5 if keep is None else keep,
    )


def build_sampler(ground: Ground, family: Family, data: Data) -> Sampler:
    """Draws samples into the run's folder."""
    return Sampler(
        family,
        data.sample_prompts,
        run=ground.run,
        reporter=ground.reporter,
        settings=build_sample_settings(ground),
        is_cancelled=ground.requests.is_stop_wanted,
    )
