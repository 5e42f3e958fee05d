"""A base model stored small: it trains on a CPU where the package allows, and takes less room."""

from __future__ import annotations

import pytest
import safetensors.torch

from tests.backends.engine import toy
from tests.backends.loaded import load

pytest.importorskip("torchao")
FAMILIES = ["sd15", "sdxl", "flux"]


@pytest.mark.parametrize("choice", ["int8", "float8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_stored_small_trains_on_a_cpu(toy_base, tmp_path, family, choice):
    """Samples, checkpoint, class pictures and a resume on the way."""
    prior = {"with_prior_preservation": True, "class_prompt": "a dog", "instance_prompt": "zog dog", "num_class_images": 1}
    settings = {"quantize_base": choice, "sample_every": 2, "sample_prompts": ["zog"], "max_train_steps": 4, **prior}
    run = toy.make_run(tmp_path / "run", toy_base(family), f"{family}/dreambooth", **settings)
    assert toy.train(run, fault="step.end=kill9@3") == -9, run.log.read_text()
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    first, last = (safetensors.torch.load_file(run.weights(step)) for step in (2, 4))
    assert any((first[key] != last[key]).any() for key in first)
    assert [e["step"] for e in toy.events_of(run, "sample")] == [0, 2, 4]
    assert all(e["loss"] for e in toy.events_of(run, "step"))


@pytest.mark.parametrize("choice", ["int8", "float8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_linear_layers_are_stored_in_one_byte_a_weight(toy_base, family, choice):
    _, module = load(f"{family}/text_to_image", toy_base(family), quantize_base=choice).family.denoiser()
    stored = [p for p in module.parameters() if type(p).__name__ not in ("Parameter", "Tensor")]
    assert stored and all(not p.requires_grad for p in module.parameters())
    kinds = {str(getattr(p, "qdata", p).dtype) for p in stored}
    assert kinds == {"torch.int8" if choice == "int8" else "torch.float8_e4m3fn"}
