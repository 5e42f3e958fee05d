"""LAVIS in its own environment: really captioning there where it was made (`python -m studio setup-lavis`), and refused in words."""

from __future__ import annotations

import os
import subprocess

import pytest

from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError
from studio.workers.captioner import Captioner, caption_replies
from studio.workers.lavis_home import HOME, PYTHONS, find_lavis, home_of, make_lavis
from studio.workspace import open_workspace
from tests.conftest import ROOT
from tests.learning import SAMPLES

FILES = sorted((SAMPLES / "zog").glob("*.png"))[:3]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv(HOME, raising=False)
    return open_workspace(tmp_path / "workspace")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A workspace whose LAVIS is the environment that DARKROOM_LAVIS names."""
    workspace = open_workspace(tmp_path_factory.mktemp("workspace"))
    if not os.environ.get(HOME):
        pytest.skip(f"{HOME} names no environment of LAVIS; `python -m studio setup-lavis` makes one in a few minutes")
    find_lavis(workspace)
    return workspace


@pytest.fixture(scope="module")
def models(real, tmp_path_factory):
    """A captioner and a scorer of LAVIS' own classes, with random weights."""
    root = tmp_path_factory.mktemp("lavis")
    for arch in ("blip_caption", "blip_image_text_matching"):
        command = [str(find_lavis(real)), "-m", "tests.backends.captioners.lavis_folder", str(root / arch), arch]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=200)
    return root


@pytest.fixture(scope="module")
def captioner(real):
    with Captioner(real) as made:
        yield made


@pytest.mark.slow
def test_lavis_captions_in_its_own_environment(captioner, models):
    name, told = f"lavis:{models / 'blip_caption'}", []
    wording = Wording(max_new_tokens=8, num_beams=3)
    first = list(caption_replies(captioner.request(name, FILES, wording), told.append))
    assert [(r.index, r.error) for r in first] == [(0, ""), (1, ""), (2, "")] and all(r.text for r in first)
    assert told and "Loading" in told[0]
    assert first == list(captioner.caption(name, FILES, wording))
    assert captioner.worker.pid is None, "LAVIS ran in the studio's own Python"


@pytest.mark.slow
def test_lavis_draws_several_candidates(captioner, models):
    drawn = Wording(search="nucleus", candidates=3, max_new_tokens=8)
    (first,) = captioner.caption(f"lavis:{models / 'blip_caption'}", FILES[:1], drawn)
    (again,) = captioner.caption(f"lavis:{models / 'blip_caption'}", FILES[:1], drawn)
    assert len(first.candidates) >= 2 and first.candidates == again.candidates


@pytest.mark.slow
def test_lavis_scores_how_well_words_fit(captioner, models):
    name = f"lavis:{models / 'blip_image_text_matching'}"
    replies = list(caption_replies(captioner.request_scores(name, FILES, ["a cat", "a dog on the sea", "red"], [])))
    assert len(replies) == 3 and all(0 < r.score < 1 for r in replies) and len({r.score for r in replies}) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lavis:blip_caption/nope", "in these types: base_coco, large_coco"),
        ("lavis:nobody/knows", "LAVIS has no model “nobody”"),
        ("lavis:blip_caption/base_coco", "cannot be reached.*a download of 0.9 GB"),
    ],
)
def test_what_lavis_cannot_have_is_told(captioner, models, name, text, monkeypatch):
    with pytest.raises(DarkroomError, match=text):
        list(captioner.caption(name, FILES[:1]))


def test_without_its_environment_the_way_to_make_it_is_told(workspace):
    with Captioner(workspace) as captioner, pytest.raises(DarkroomError, match="not set up.*python -m studio setup-lavis"):
        captioner.request("lavis:blip_caption/base_coco", FILES[:1])


def test_an_environment_of_other_packages_is_not_used(workspace):
    home = home_of(workspace)
    home.mkdir(parents=True)
    (home / "darkroom.json").write_text('{"packages": ["torch==1.0"]}', "utf-8")
    with pytest.raises(DarkroomError, match="another version of the studio.*--anew"):
        find_lavis(workspace)


@pytest.mark.parametrize("name", ["letter.txt", "pyvenv.cfg"])
def test_a_folder_or_an_environment_of_somebody_elses_is_left_alone(workspace, tmp_path, monkeypatch, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("dear", "utf-8")
    monkeypatch.setenv(HOME, str(tmp_path / "mine"))
    with pytest.raises(DarkroomError, match="holds something else"):
        make_lavis(workspace, lambda text: None, anew=True)
    assert (tmp_path / "mine" / name).read_text("utf-8") == "dear"


@pytest.mark.slow
def test_a_package_that_cannot_be_had_is_told_and_nothing_half_made_stays(workspace, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    told: list[str] = []
    with pytest.raises(DarkroomError, match="could not be made.*(torch|numpy)==.*Nothing of it was left"):
        make_lavis(workspace, told.append, pip=["--no-index"])
    assert [t.split(":")[0] for t in told] == ["Step 1 of 5", "Step 2 of 5"] and not home_of(workspace).exists()


def test_a_python_that_lavis_cannot_run_on_is_told(workspace, monkeypatch):
    monkeypatch.setattr("studio.workers.lavis_home.PYTHONS", ("9.9",))
    with pytest.raises(DarkroomError, match="LAVIS needs Python 9.9"):
        make_lavis(workspace, lambda text: None)
    assert PYTHONS == ("3.11", "3.10")
