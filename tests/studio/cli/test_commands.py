"""The command line as a person types it: what comes out, and what a bad input is told."""

from __future__ import annotations

import io
import json
import resource
import signal
import socket
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backends.registry import BACKENDS, REFUSED
from studio.cli.root import app
from tests.conftest import ROOT
from tests.studio.datasets.pairs import write_folders

SUBJECT = "text_to_image/pocket_subject"


@pytest.fixture
def pictures(tmp_path):
    """A folder with twelve different pictures."""
    folder = tmp_path / "Seaside"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        small.resize((160, 160), Image.Resampling.NEAREST).save(folder / f"shore_{i}.png")
    return folder


@pytest.fixture
def dataset(studio):
    """Id of a data set that is ready to train."""
    code, value = studio("dataset", "sample", "zog")
    assert code == 0
    return value["dataset"]


def refusal(answer):
    """The sentence of a refused command."""
    code, value = answer
    assert code == 2
    text = value["error"]
    assert text.endswith((".", "?"))
    assert "Error" not in text and "Traceback" not in text
    return text


def png_header(width, height):
    """A small PNG that claims to be huge."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    parts = [(chunk, zlib.crc32(chunk)), (b"IDAT" + body, zlib.crc32(b"IDAT" + body)), (b"IEND", zlib.crc32(b"IEND"))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", crc) for c, crc in parts)


def test_pictures_go_in_and_come_out_with_their_captions(studio, pictures, tmp_path):
    (pictures / "shore_3.txt").write_text("a shore at dawn", "utf-8")
    code, value = studio("dataset", "import", pictures)
    assert (code, value["pictures"], value["refused"]) == (0, 12, [])
    assert value["name"] == "Seaside"
    code, listed = studio("dataset", "list")
    assert [d["num_captions"] for d in listed] == [1]
    code, written = studio("dataset", "export", value["dataset"], tmp_path / "out.zip")
    assert code == 0
    with zipfile.ZipFile(written["path"]) as archive:
        names = archive.namelist()
        texts = [archive.read(n).decode() for n in names if n.endswith(".txt")]
    assert len([n for n in names if n.endswith(".png")]) == 12
    assert "a shore at dawn" in " ".join(texts)


def test_the_report_of_the_sample_pictures_is_good_and_written_down(studio, dataset, tmp_path):
    code, report = studio("check", dataset)
    assert code == 0
    assert report["score"] >= 75
    assert (
        json.loads((tmp_path / "workspace" / "datasets" / dataset / "dataset_report.json").read_text("utf-8"))["score"] == report["score"]
    )


def test_the_report_is_written_as_one_page_where_it_is_asked_for(studio, dataset, tmp_path):
    code, report = studio("dataset", "check", dataset, "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert code == 0 and f"<b>{report['score']}<small>%" in page and page.count("data:image/webp") >= 12
    assert report["split"]["training"] + report["split"]["held_out"] == 12


@pytest.mark.slow
def test_captions_are_written_with_the_trigger_word_and_own_words_stay(studio, tmp_path):
    folder = tmp_path / "zog"
    folder.mkdir()
    for source in sorted((ROOT / "assets" / "samples" / "zog").glob("*.png"))[:4]:
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "zog_01.txt").write_text("my own words", "utf-8")
    _, value = studio("dataset", "import", folder)
    code, done = studio("caption", value["dataset"], "--trigger-word", "zog")
    assert (code, done["written"], done["failed"]) == (0, 3, [])
    studio("dataset", "export", value["dataset"], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        texts = sorted(archive.read(n).decode().strip() for n in archive.namelist() if n.endswith(".txt"))
    assert "my own words" in texts
    assert sum(t.startswith("zog") and "background" in t for t in texts) == 3


def test_the_back_ends_are_listed_with_their_presets(studio):
    done = CliRunner().invoke(app, ["backends", "--json"])
    value = json.loads(done.stdout)
    listed = {b["backend"]: b for b in value}
    assert listed.keys() == BACKENDS.keys() | REFUSED.keys()
    assert SUBJECT in listed["sdxl/text_to_image"]["presets"]
    assert all(listed[name]["presets"] for name in BACKENDS), "a training without a preset cannot be chosen"
    assert all(listed[name]["refused"].endswith(".") for name in REFUSED)
    told = CliRunner().invoke(app, ["backends"]).stdout
    assert all(key in told for name in BACKENDS for key in listed[name]["presets"])


def test_an_empty_folder_is_told_and_leaves_nothing_behind(studio, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "No picture" in refusal(studio("dataset", "import", tmp_path / "empty"))
    assert studio("dataset", "list") == (0, [])


def test_what_is_no_picture_is_named_with_its_reason(studio, pictures):
    (pictures / "notes.png").write_text("these are words, not a picture", "utf-8")
    whole = (pictures / "shore_1.png").read_bytes()
    (pictures / "torn.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "huge.png").write_bytes(png_header(20_000, 20_000))
    code, value = studio("dataset", "import", pictures)
    assert (code, value["pictures"]) == (0, 12)
    reasons = {r["name"].rsplit("/", 1)[-1]: r["reason"] for r in value["refused"]}
    assert set(reasons) == {"notes.png", "torn.png", "huge.png"}
    assert "400 megapixels" in reasons["huge.png"] and "at most" in reasons["huge.png"]


def test_a_zip_that_climbs_out_is_refused_whole(studio, pictures, tmp_path):
    bad = io.BytesIO()
    with zipfile.ZipFile(bad, "w") as archive:
        archive.write(pictures / "shore_1.png", "shore_1.png")
        archive.write(pictures / "shore_2.png", "../../climbed.png")
    (tmp_path / "bad.zip").write_bytes(bad.getvalue())
    before = {p for p in tmp_path.rglob("*") if "workspace" not in p.parts}
    assert "climbed.png" in refusal(studio("dataset", "import", tmp_path / "bad.zip"))
    assert {p for p in tmp_path.rglob("*") if "workspace" not in p.parts} == before
    assert not list((tmp_path / "workspace").rglob("climbed*"))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learning_rate=abc", ["abc", "1e-4"]),
        ("resolution=1000", ["1000", "992 or 1024"]),
        ("rank=0", ["0", "1 to 256"]),
        ("trigger_word=my \"odd\" word", ["one word"]),
        ("pretrained_model_name_or_path=no such model", ["no such model", "pocket-sdxl"]),
        ("lerning_rate=1e-4", ["lerning_rate", "learning_rate"]),
        ("mixed_precision=fp8", ["fp8", "bf16"]),
    ],
)  # fmt: skip
def test_a_bad_setting_is_told_before_anything_starts(studio, dataset, tmp_path, setting, says):
    text = refusal(studio("train", dataset, "--set", setting))
    assert all(s in text for s in says), text
    assert not list((tmp_path / "workspace" / "runs").iterdir())


def test_all_faults_come_at_once(studio, dataset):
    code, value = studio("train", dataset, "--set", "learning_rate=abc", "--set", "rank=0", "--set", "train_batch_size=-1")
    assert code == 2
    assert {f["field"] for f in value["faults"]} >= {"learning_rate", "rank", "train_batch_size"}


def test_an_unknown_preset_is_told_with_the_nearest(studio, dataset):
    assert "pocket_subject" in refusal(studio("train", dataset, "--preset", "text_to_image/pocket_subjekt"))


def test_a_base_model_that_needs_the_internet_is_told(studio, dataset, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = refusal(studio("train", dataset, "--preset", "text_to_image/sdxl_subject_12gb"))
    assert "internet" in text or "GPU" in text


def test_an_unknown_data_set_and_run_are_told(studio):
    assert "not-there" in refusal(studio("check", "not-there"))
    assert "not-there" in refusal(studio("runs", "show", "not-there"))
    assert "../" in refusal(studio("check", "../../etc"))


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, studio, pictures):
    _, first = studio("dataset", "import", pictures)
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (400, 400, 3), dtype=np.uint8)).save(tmp_path / "large.png")

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "studio", "dataset", "import", str(tmp_path / "large.png"), "--into", first["dataset"], "--json"]
    command += ["--workspace", str(tmp_path / "workspace")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=full, check=False)
    assert "Traceback" not in done.stderr + done.stdout
    assert "disk" in done.stdout.lower() or "large" in done.stdout.lower()
    assert studio("dataset", "list")[1][0]["num_pictures"] == 12


def test_a_port_in_use_is_told_with_a_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "app.py", "--port", port, "--no-browser", "--workspace", str(tmp_path / "w")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert port in said and "--port" in said
    assert "Traceback" not in said


def test_edit_pairs_go_in_with_their_instructions_and_come_out_in_two_folders(studio, tmp_path):
    root = write_folders(tmp_path / "Blue", 4, listed=True)
    (root / "output_images" / "003.png").unlink()
    code, value = studio("dataset", "import", root, "--kind", "pairs")
    assert (code, value["kind"], value["pictures"], value["incomplete"]) == (0, "pairs", 4, 1)
    reason = "Line 4 of metadata.jsonl names it, and it is not there. Its place and its words wait for it."
    assert value["refused"] == [{"name": "output_images/003.png", "reason": reason}]
    code, listed = studio("dataset", "list")
    assert [(d["kind"], d["num_pictures"], d["num_captions"], d["num_incomplete"]) for d in listed] == [("pairs", 4, 4, 1)]
    code, written = studio("dataset", "export", value["dataset"], tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert [line["instruction"] for line in lines] == ["make it blue 0", "make it blue 1", "make it blue 2"]
    assert all((tmp_path / "out" / line[key]).is_file() for line in lines for key in ("input_image", "output_image"))
    code, written = studio("dataset", "export", value["dataset"], tmp_path / "out.zip")
    with zipfile.ZipFile(written["path"]) as archive:
        assert {n.split("/")[0] for n in archive.namelist()} == {"input_images", "output_images", "metadata.jsonl"}


def test_two_folders_are_known_as_pairs_without_being_told_and_a_wrong_kind_is_refused(studio, tmp_path):
    root = write_folders(tmp_path / "Blue", 2, before="before", after="after")
    assert studio("dataset", "import", root)[1]["kind"] == "pairs"
    assert "pictures, pairs" in refusal(studio("dataset", "import", root, "--kind", "videos"))


def test_pairs_of_two_sizes_are_told_by_name_with_both_sizes(studio, tmp_path):
    root = write_folders(tmp_path / "Blue", 2)
    Image.new("RGB", (90, 64), "blue").save(root / "output_images" / "001.png")
    _, value = studio("dataset", "import", root)
    (refused,) = value["refused"]
    assert refused["name"] == "output_images/001.png" and "90 x 64 px" in refused["reason"] and "64 x 64 px" in refused["reason"]


def test_missing_instructions_are_drafted_and_written_ones_stay(studio, tmp_path):
    root = write_folders(tmp_path / "Blue", 3)
    (root / "output_images" / "001.txt").write_text("my own words", "utf-8")
    _, value = studio("dataset", "import", root)
    code, done = studio("dataset", "draft-instructions", value["dataset"], "--captioner", "none")
    assert (code, done["drafted"], done["silent"], done["failed"]) == (0, 2, 0, [])
    studio("dataset", "export", value["dataset"], tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert [line["instruction"] for line in lines] == ["make the background blue", "my own words", "make the background blue"]
    assert "Every complete pair has an instruction" in refusal(studio("dataset", "draft-instructions", value["dataset"]))
    assert "draft-instructions" in refusal(studio("caption", value["dataset"]))


def test_single_pictures_have_no_instructions(studio, dataset):
    assert "studio caption" in refusal(studio("dataset", "draft-instructions", dataset))


def test_the_sample_pairs_are_checked_as_ready(studio):
    code, value = studio("dataset", "sample", "edits")
    assert code == 0 and value["pictures"] >= 200
    code, report = studio("check", value["dataset"])
    assert (code, report["score"], report["ready"]) == (0, 100, True)
