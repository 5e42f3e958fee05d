"""A program with the outside of ai-toolkit: `run.py CONFIG`. It learns nothing; it reads, writes, prints and ends as that does.

STAND_IN in the environment lists its habits: step=SECONDS, oom@N, gated, missing, kill9@N, torn@N (killed in the middle of a save),
nan@N (saves what is not a number), slow_save, deaf (to everything), interrupt_only (no job database), no_losses, no_judging.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

HABITS = os.environ.get("STAND_IN", "").split()
STEP_S = next((float(h.split("=")[1]) for h in HABITS if h.startswith("step=")), 0.03)
WIDTH = 192  # of the attention in the bundled Flux
PAUSE = threading.Event()
SCHEMA = """
CREATE TABLE IF NOT EXISTS steps (step INTEGER PRIMARY KEY, wall_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS metric_keys (key TEXT PRIMARY KEY, first_seen_step INTEGER, last_seen_step INTEGER);
CREATE TABLE IF NOT EXISTS metrics (step INTEGER NOT NULL, key TEXT NOT NULL, value_real REAL, value_text TEXT, PRIMARY KEY (step, key));
"""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def read_settings(path: Path) -> dict:
    """With variables of the environment put in, as the real one does."""

    def look_up(match: re.Match) -> str:
        if match[1] not in os.environ:
            raise ValueError(f"Environment variable {match[1]} not set.")
        return os.environ[match[1]]

    document = yaml.safe_load(re.sub(r"\$\{([^}]+)\}", look_up, path.read_text("utf-8")))
    return json.loads(json.dumps(document).replace("[name]", document["config"]["name"]))


class Losses:
    """loss_log.db in WAL mode, written in bundles."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.executescript(SCHEMA)
        self.rows, self.flushed, self.pruned = [], time.time(), False

    def commit(self, step: int, values: dict[str, float]) -> None:
        if not self.pruned:
            self.connection.execute("DELETE FROM steps WHERE step > ?", (step,))
            self.pruned = True
        self.rows.append((step, time.time(), values))
        if time.time() - self.flushed > 0.25:
            self.flush()

    def flush(self) -> None:
        self.connection.execute("BEGIN")
        for step, wall_time, values in self.rows:
            self.connection.execute("INSERT OR REPLACE INTO steps VALUES (?, ?)", (step, wall_time))
            for key, value in values.items():
                self.connection.execute("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, NULL)", (step, key, value))
        self.connection.execute("COMMIT")
        self.rows, self.flushed = [], time.time()


class Job:
    """The database of its interface, where there is one and this job stands in it."""

    def __init__(self, path: str) -> None:
        self.path = path if os.path.exists(path) and "interrupt_only" not in HABITS else ""
        self.id = os.environ.get("AITK_JOB_ID", "")

    def tell(self, **values: str) -> None:
        if self.path:
            with sqlite3.connect(self.path, timeout=30) as connection:
                for key, value in values.items():
                    connection.execute(f"UPDATE Job SET {key} = ? WHERE id = ?", (value, self.id))

    def is_asked(self, key: str) -> bool:
        if not self.path or "deaf" in HABITS:
            return False
        with sqlite3.connect(self.path, timeout=30) as connection:
            return connection.execute(f"SELECT {key} FROM Job WHERE id = ?", (self.id,)).fetchone()[0] == 1

    def maybe_stop(self) -> None:
        if self.is_asked("stop"):
            self.tell(status="stopped", info="Job stopped")
            raise RuntimeError("Job stopped")


class Trainer:
    def __init__(self, document: dict) -> None:
        self.name, self.settings = document["config"]["name"], document["config"]["process"][0]
        self.train, self.sample_settings = self.settings["train"], self.settings["sample"]
        self.root = Path(self.settings["training_folder"]) / self.name
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "config.yaml").write_text(yaml.safe_dump(document))
        self.job = Job(self.settings["sqlite_db_path"])
        self.step = self.start = 0

    def run(self) -> None:
        self.job.tell(status="running", info="Loading model")
        self.load()
        self.job.maybe_stop()
        self.job.tell(info="Loading dataset")
        folder = Path(self.settings["datasets"][0]["folder_path"])
        self.pictures = [p for p in sorted(folder.iterdir()) if p.suffix in (".png", ".jpg", ".jpeg", ".webp")]
        for number, picture in enumerate(self.pictures, 1):
            Image.open(picture).verify()
            assert picture.with_suffix(".txt").read_text("utf-8").strip()
            self.print_bar("Caching latents to disk", number, len(self.pictures), "")
        self.resume()
        self.job.tell(info="Training")
        if not self.train["disable_sampling"] and self.step <= 1:
            say("Generating baseline samples before training")
            self.sample()
        self.loop()
        self.save("")
        if not self.train["disable_sampling"]:
            self.sample()
        self.job.tell(status="completed", info="Training completed")

    def load(self) -> None:
        if "gated" in HABITS:
            raise OSError("You are trying to access a gated repo.\nAccess to model black-forest-labs/FLUX.1-dev is restricted.")
        if "missing" in HABITS:
            raise FileNotFoundError(2, "No such file or directory", "/models/ae.safetensors")
        say(f"Loading Flux model with token {os.environ.get('HF_TOKEN', 'none')}")

    def resume(self) -> None:
        found = [p for p in self.root.glob(f"{self.name}*") if "_LoRA" not in str(p) and "_cn" not in str(p)]
        if not found:
            return
        latest = max(found, key=os.path.getctime)
        say(f"#### IMPORTANT RESUMING FROM {latest} ####")
        with latest.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        self.step = self.start = json.loads(header["__metadata__"]["training_info"])["step"]
        say(f"Found step {self.step} in metadata, starting from there")

    def loop(self) -> None:
        losses, waiting = Losses(self.root / "loss_log.db"), {}
        for step in range(self.step, self.train["steps"]):
            self.step = step
            self.misbehave(step)
            PAUSE.wait(STEP_S)
            loss = 1 / (step + 2)
            judging = self.train.get("validation_config")
            if judging and "no_judging" not in HABITS and (step == self.start or step % judging["validate_every_n_steps"] == 0):
                assert all(Path(item["image_path"]).is_file() for item in judging["validation_items"])
                waiting["val/loss"] = 0.5 / (1 + step / 100)
            if step != self.start:
                if step % self.settings["save"]["save_every"] == 0:
                    say(f"\nSaving at step {step}")
                    self.save(f"_{step:09d}")
                if not self.train["disable_sampling"] and step % self.sample_settings["sample_every"] == 0:
                    self.sample()
                if "no_losses" not in HABITS:
                    losses.commit(step, {"learning_rate": 1e-4, "loss/loss": loss, **waiting})
                waiting = {}
            self.print_bar(self.name, step + 1, self.train["steps"], f", lr: 1.0e-04 loss: {loss:.3e}")
            self.step = step + 1
            self.at_step_end()
        losses.flush()
        losses.connection.close()

    def at_step_end(self) -> None:
        self.job.maybe_stop()
        if self.job.is_asked("save_now"):
            self.job.tell(save_now="0")
            self.save(f"_{self.step:09d}")
        if self.job.is_asked("sample_now"):
            self.job.tell(sample_now="0")
            self.sample()

    def misbehave(self, step: int) -> None:
        if f"oom@{step}" in HABITS:
            raise RuntimeError("OOM during training step 3 times in a row, aborting training")
        if f"kill9@{step}" in HABITS:
            os.kill(os.getpid(), signal.SIGKILL)

    def save(self, tail: str) -> None:
        self.job.maybe_stop()
        self.job.tell(info="Saving model")
        path = self.root / f"{self.name}{tail}.safetensors"
        data = self.pack()
        try:
            with path.open("wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                if f"torn@{self.step}" in HABITS:
                    os.kill(os.getpid(), signal.SIGKILL)
                PAUSE.wait(2.0 if "slow_save" in HABITS else 0.0)
                file.write(data[len(data) // 2 :])
        except KeyboardInterrupt:
            (self.root / "interrupted_in_a_save").touch()
            raise
        say(f"Saved checkpoint to {path}")
        (self.root / "optimizer.pt").write_bytes(b"state")
        old = sorted(self.root.glob(f"{self.name}_*"), key=os.path.getctime)[: -self.settings["save"]["max_step_saves_to_keep"]]
        for gone in old:
            gone.unlink()
        self.job.maybe_stop()
        self.job.tell(info="Training")

    def pack(self) -> bytes:
        """A LoRA file in the layout of its Flux files: peft's names, 16 bits, no alpha."""
        rank, rng = self.settings["network"]["linear"], np.random.default_rng(self.step)
        names = [f"transformer.single_transformer_blocks.{block}.attn.{part}" for block in range(4) for part in ("to_q", "to_k", "to_v")]
        described: dict = {"__metadata__": {"format": "pt", "training_info": json.dumps({"step": self.step, "epoch": 0})}}
        parts = []
        for name in names:
            for side, shape in (("lora_A", (rank, WIDTH)), ("lora_B", (WIDTH, rank))):
                numbers = rng.normal(size=shape, scale=0.3).astype("<f2")
                if f"nan@{self.step}" in HABITS:
                    numbers[0, 0] = np.nan
                begin = sum(map(len, parts))
                parts.append(numbers.tobytes())
                described[f"{name}.{side}.weight"] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, begin + len(parts[-1])]}
        header = json.dumps(described).encode()
        header += b" " * (-len(header) % 8)
        return len(header).to_bytes(8, "little") + header + b"".join(parts)

    def sample(self) -> None:
        folder = self.root / "samples"
        (folder / ".tmp").mkdir(parents=True, exist_ok=True)
        samples = self.sample_settings["samples"]
        for number, sample in enumerate(samples):
            self.job.maybe_stop()
            self.job.tell(info=f"Generating images - {number + 1}/{len(samples)}")
            name = f"{time.time_ns() // 1_000_000}__{self.step:09d}_{number}.{self.sample_settings['format']}"
            Image.new("RGB", (16, 16), (sample["seed"] % 256, self.step % 256, 90)).save(folder / ".tmp" / name)
            os.replace(folder / ".tmp" / name, folder / name)
        self.job.tell(info="Training")

    def print_bar(self, title: str, done: int, total: int, tail: str) -> None:
        filled = "█" * (10 * done // total)
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{title}: {100 * done // total:3d}%|{filled:<10}| {done}/{total} [00:01<00:02, 25.0it/s{tail}]{end}")
        sys.stderr.flush()


def main() -> None:
    if "deaf" in HABITS:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("Running 1 job")
    trainer = None
    try:
        trainer = Trainer(read_settings(Path(sys.argv[1])))
        trainer.run()
    except KeyboardInterrupt:
        say("\n========================================\nJob stopped\n========================================")
    except Exception as error:  # noqa: BLE001 - the real one prints its word, then lets it out
        say(f"Error running job: {error}")
        if trainer and str(error) != "Job stopped":
            trainer.job.tell(status="error", info=str(error))
        traceback.print_exc()
        sys.exit(1)


if __name__ == "__main__":
    main()
