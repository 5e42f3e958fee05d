"""By hand, against the real repository; docs/ai_toolkit.md has the command.

Its reader, its settings classes, its logger, its progress bar and its job database run as they are. Of its packages only torch, PyYAML
and tqdm are needed; the rest is replaced by empty modules, because these parts only import them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.external.document import build_document, link_pictures, write_document
from backends.external.harvest import _SAMPLE
from backends.external.job import ID, SAVING, Job
from backends.external.losses import read_steps
from backends.external.output import parse_bar

SOURCE = Path(os.environ.get("DARKROOM_AITOOLKIT_SOURCE", "")).expanduser()
pytestmark = pytest.mark.skipif(not (SOURCE / "toolkit" / "config.py").is_file(), reason="DARKROOM_AITOOLKIT_SOURCE names no ai-toolkit")
EMPTY = """
import importlib.machinery, sys, types
import numpy, PIL.Image, safetensors, torch, torch.backends.mps, tqdm, yaml
NEEDED = {"torch", "yaml", "tqdm", "numpy", "PIL", "safetensors"}
class Empty(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
class Finder:
    # Whatever is not there and not its own: an empty module whose every name is an empty class.
    def find_spec(self, name, path=None, target=None):
        own = name.split(".")[0] in ("toolkit", "jobs", "extensions_built_in", "info", "version")
        heavy = name in HEAVY
        if (own and not heavy) or name.split(".")[0] in NEEDED or name.split(".")[0] in sys.stdlib_module_names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Empty(spec.name)
    def exec_module(self, module):
        pass
HEAVY = {"toolkit.prompt_utils", "toolkit.audio.album_artwork", "toolkit.basic", "toolkit.print"}
HEAVY |= {"extensions_built_in.sd_trainer.SDTrainer"}
sys.meta_path.insert(0, Finder())
sys.path.insert(0, "SOURCE")
sys.modules["oyaml"] = yaml
"""
# Its trainer without what it inherits: only what speaks with the database.
BARE_TRAINER = """
import types
from extensions_built_in.sd_trainer.DiffusionTrainer import DiffusionTrainer
class Base:
    def __init__(self, *a, **k):
        self.config, self.accelerator = {"sqlite_db_path": sys.argv[1]}, types.SimpleNamespace(is_main_process=True)
    def end_step_hook(self): pass
DiffusionTrainer.__bases__ = (Base,)
"""


def run_there(code: str, *arguments: str, **environment: str) -> str:
    """Runs code in a process that has ai-toolkit's modules."""
    script = EMPTY.replace("SOURCE", str(SOURCE)) + code
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def document(work, pictures):
    config = FluxAiToolkitConfig(
        trigger_word="zog",
        sample_prompts=["zog ${HF_TOKEN} 1e5", "a cat: yes"],
        lora_layers="attention",
        lora_dropout=0.1,
        lr_scheduler="constant_with_warmup",
    )
    link_pictures(work, pictures)
    write_document(work, config, pictures, seed=7)
    return build_document(work, config, pictures, seed=7)


def test_its_reader_gets_what_was_meant(work, document):
    code = "import json; from toolkit.config import get_config; print(json.dumps(get_config(sys.argv[1])))"
    assert json.loads(run_there(code, str(work.settings), HF_TOKEN="secret")) == document


def test_its_settings_classes_take_every_value(work, document):
    code = """
import json
from toolkit.config import get_config
import toolkit.config_modules as m
p = get_config(sys.argv[1])["config"]["process"][0]
p["model"]["dtype"] = p["train"]["dtype"]
network, train, model = m.NetworkConfig(**p["network"]), m.TrainConfig(**p["train"]), m.ModelConfig(**p["model"])
save, sample, logs = m.SaveConfig(**p["save"]), m.SampleConfig(**p["sample"]), m.LoggingConfig(**p["logging"])
data = [m.DatasetConfig(**d) for d in m.preprocess_dataset_raw_config(p["datasets"])]
m.validate_configs(train, model, save, data)
print("RESULT" + json.dumps({
    "rank": network.linear, "alpha": network.linear_alpha, "dropout": network.dropout, "only": network.network_kwargs["only_if_contains"],
    "steps": train.steps, "lr": train.lr, "optimizer": train.optimizer, "ema": train.ema_config.use_ema, "sampling": train.disable_sampling,
    "accumulation": train.gradient_accumulation, "times": train.timestep_type, "warm": train.lr_scheduler_params,
    "judged": [[i.image_path, i.prompt] for i in train.validation_config.validation_items],
    "levels": train.validation_config.validation_sigmas, "every": train.validation_config.validate_every_n_steps,
    "arch": model.arch, "small": model.quantize, "kind": model.qtype, "save": save.save_every, "keep": save.max_step_saves_to_keep,
    "prompts": sample.prompts, "seeds": [s.seed for s in sample.samples], "ext": sample.ext, "guidance": sample.samples[0].guidance_scale,
    "logger": logs.use_ui_logger, "log": logs.log_every,
    "sizes": [d.resolution for d in data], "captions": data[0].caption_ext, "dropped": data[0].caption_dropout_rate,
}))
"""
    read = json.loads(run_there(code, str(work.settings)).partition("RESULT")[2])
    assert (read["rank"], read["alpha"], read["dropout"]) == (16, 16, 0.1)
    assert "to_q" in read["only"]
    assert (read["steps"], read["lr"], read["optimizer"], read["ema"], read["accumulation"]) == (2000, 1e-4, "adamw8bit", True, 1)
    assert (read["times"], read["warm"], read["sampling"]) == ("sigmoid", {"num_warmup_steps": 0}, False)
    assert read["judged"] == [[str(work.held_out / "0001.png"), "zog held out"]]
    assert (read["levels"], read["every"]) == ([1.0, 0.75, 0.5, 0.25], 25)
    assert (read["arch"], read["small"], read["kind"], read["save"], read["keep"]) == ("flux", True, "qfloat8", 250, 4)
    assert (read["prompts"], read["seeds"], read["ext"]) == (["zog ${HF_TOKEN} 1e5", "a cat: yes"], [42, 42], "png")
    assert (read["logger"], read["log"], read["sizes"]) == (True, 1, [512, 768, 1024])
    assert (read["captions"], read["dropped"]) == (".txt", 0.05)


def test_it_knows_every_key_that_it_is_given(document):
    """Its classes pass over a key that they do not know, so a misspelt one would never be noticed."""
    tree = ast.parse((SOURCE / "toolkit" / "config_modules.py").read_text("utf-8"))
    known = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for name in (
        "jobs/process/BaseTrainProcess.py",
        "jobs/process/BaseSDTrainProcess.py",
        "extensions_built_in/sd_trainer/DiffusionTrainer.py",
    ):
        other = ast.parse((SOURCE / name).read_text("utf-8"))
        known |= {node.value for node in ast.walk(other) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    process = document["config"]["process"][0]
    keys = set(process) - {"type"}
    for section in ("network", "save", "train", "model", "logging", "sample"):
        keys |= set(process[section])
    keys |= (
        set(process["datasets"][0]) | set(process["train"]["validation_config"]) | {"image_path", "prompt", "seed", "use_ema", "ema_decay"}
    )
    assert not keys - known


def test_its_logger_writes_what_we_read(work):
    code = """
from toolkit.logging_aitk import UILogger
logger = UILogger(log_file=sys.argv[1])
logger.start()
for step in range(1, 6):
    logger.log({"learning_rate": 1e-4}); logger.log({"loss/loss": 1 / step}); logger.log({"val/loss": 0.5} if step == 3 else {})
    logger.commit(step=step)
logger.finish()
"""
    run_there(code, str(work.losses))
    rows = read_steps(work.losses, after=1)
    assert [r.step for r in rows] == [2, 3, 4, 5]
    assert [r.loss for r in rows] == pytest.approx([1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert [r.judged for r in rows] == [None, 0.5, None, None]
    assert {r.rate for r in rows} == {1e-4}


def test_its_progress_bar_is_read():
    code = """
from toolkit.progress_bar import ToolkitProgressBar
bar = ToolkitProgressBar(total=40, desc="darkroom", leave=True, initial=0, iterable=range(40), file=sys.stdout, mininterval=0)
for step in range(40):
    bar.set_postfix_str(f"lr: {1e-4:.1e} loss: {0.25:.3e}")
    bar.update(step + 1 - bar.n)
bar.close()
"""
    bars = [b for part in run_there(code).replace("\n", "\r").split("\r") if (b := parse_bar(part))]
    assert (bars[-1].title, bars[-1].done, bars[-1].total, bars[-1].loss, bars[-1].rate) == ("darkroom", 40, 40, 0.25, 1e-4)


def test_its_samples_are_named_as_we_look_for_them(tmp_path):
    code = """
from toolkit.config_modules import GenerateImageConfig
made = GenerateImageConfig(prompt="zog", output_path=sys.argv[1] + "/[time]__000000250_[count].png", output_ext="png")
made.set_gen_time()
print("RESULT" + made.get_image_path(3, 10))
"""
    name = Path(run_there(code, str(tmp_path)).partition("RESULT")[2].strip()).name
    match = _SAMPLE.fullmatch(name)
    assert match
    assert (int(match["step"]), int(match["number"])) == (250, 3)


def test_its_trainer_reads_and_writes_our_job_database(tmp_path):
    job = Job(tmp_path / "job.db")
    job.create()
    job.ask_to_save()
    code = """
trainer = DiffusionTrainer(0, None, {"sqlite_db_path": sys.argv[1]})
print("RESULT", trainer.is_ui_trainer, trainer.should_save(), trainer.should_sample(), trainer.should_stop())
print(trainer.should_return_to_queue())
trainer.update_db_key("save_now", 0)
trainer.step_num = 7
trainer.update_step()
print(trainer.should_save())
trainer.update_status("running", "Saving model")
"""
    out = run_there(BARE_TRAINER + code, str(tmp_path / "job.db"), AITK_JOB_ID=ID).partition("RESULT")[2]
    assert out.split() == ["True", "True", "False", "False", "False", "False"]
    state = job.read()
    assert (state.status, state.info, state.is_saving) == ("running", SAVING, True)


def test_a_stop_asked_for_in_our_database_ends_its_loop(tmp_path):
    job = Job(tmp_path / "job.db")
    job.create()
    job.ask_to_stop()
    code = """
trainer = DiffusionTrainer(0, None, {})
trainer.step_num = 7
try:
    trainer.end_step_hook()
except Exception as error:
    print("RESULT", error)
"""
    assert run_there(BARE_TRAINER + code, str(tmp_path / "job.db"), AITK_JOB_ID=ID).partition("RESULT")[2].strip() == "Job stopped"
    assert job.read().status == "stopped"
