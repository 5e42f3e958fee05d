"""Tokens are counted as the base model counts them, without torch; where they are only estimated, that is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract.base_models import MODELS
from studio.datasets.tokens import count_tokens, is_exact, token_limit
from tests.tensor_files import FLUX, SDXL, write_holes

ROOT = Path(__file__).resolve().parents[3]


def test_the_pocket_model_reads_22_tokens_of_its_24_positions():
    assert (token_limit("pocket-sdxl"), is_exact("pocket-sdxl")) == (22, True)
    assert count_tokens("pocket-sdxl", "zog on a red background") == 5
    assert count_tokens("pocket-sdxl", "") == 0


def test_a_caption_is_counted_beyond_the_limit():
    assert count_tokens("pocket-sdxl", "red " * 100) == 100


def test_a_model_that_is_not_here_is_estimated_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert (token_limit("nobody/nothing"), is_exact("nobody/nothing")) == (75, False)
    assert count_tokens("nobody/nothing", "zog on a red background, looking left") == 9
    assert count_tokens("no such model", "one two") == 2


@pytest.mark.parametrize("base", ["sdxl", "sd15"])
def test_clips_own_vocabulary_counts_for_models_that_are_not_fetched_yet(base, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert (token_limit(base), is_exact(base)) == (75, True)
    assert count_tokens(base, "a photo of a cat") == 5  # 320, 1125, 539, 320, 2368
    assert count_tokens(base, "Don't stop 123!") == 7


def test_a_checkpoint_in_one_file_is_counted_by_its_family(tmp_path):
    assert is_exact(str(write_holes(tmp_path / "a.safetensors", SDXL)))
    flux = f"{write_holes(tmp_path / 'b.safetensors', FLUX)} + black-forest-labs/FLUX.1-dev"
    assert (token_limit(flux), is_exact(flux)) == (510, False)


@pytest.fixture
def older_layout(tmp_path):
    """The pocket model with its tokenizer in the two files that SDXL's repository has."""
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "pocket-sdxl", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    model = json.loads((folder / "tokenizer" / "tokenizer.json").read_text("utf-8"))["model"]
    (folder / "tokenizer" / "tokenizer.json").unlink()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"]), "utf-8")
    merges = "\n".join(m if isinstance(m, str) else " ".join(m) for m in model["merges"])
    (folder / "tokenizer" / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", "utf-8")
    return str(folder)


@pytest.mark.parametrize("text", ["zog on a red background", "Don't stop 123, é ça!! 😀", "  A \n b ", "日本語", "c++ & <zog>"])
def test_the_older_tokenizer_files_count_the_same(older_layout, text):
    assert is_exact(older_layout) and token_limit(older_layout) == 22
    assert count_tokens(older_layout, text) == count_tokens("pocket-sdxl", text)


def test_a_damaged_tokenizer_gives_an_estimate(older_layout):
    (Path(older_layout) / "tokenizer" / "vocab.json").write_text("{")
    assert not is_exact(older_layout) and count_tokens(older_layout, "one two") == 2


@given(st.text(max_size=100))
def test_any_text_can_be_counted(text):
    assert count_tokens("pocket-sdxl", text) >= 0 and count_tokens("no such model", text) >= 0


def test_counting_loads_no_torch():
    code = "import sys, studio.datasets.checks, studio.datasets.tokens as t; t.count_tokens('pocket-sdxl', 'x'); print('torch' in sys.modules or 'transformers' in sys.modules)"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"
