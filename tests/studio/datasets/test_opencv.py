"""OpenCV is one's own choice: without it all goes on, and what is lacking is said with the command that brings it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.auto_masks import make_masks
from studio.datasets.checks import Target
from studio.datasets.crops import Wish, crop_pictures, find_crops
from studio.datasets.edits import Edit
from studio.datasets.opencv import INSTALL, cascade_path, is_installed, load_opencv
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.things import open_portrait


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as where it is not installed


def test_without_it_the_command_is_told(without):
    assert not is_installed()
    for ask in (load_opencv, lambda: cascade_path("eye")):
        with pytest.raises(DarkroomError) as refused:
            ask()
        assert INSTALL in refused.value.text


def test_without_it_a_frame_goes_by_colour_and_edges_and_only_faces_are_refused(without, store, dataset, drop):
    drop("portrait.png", encode(open_portrait()))
    rows = store.pictures(dataset)
    made = crop_pictures(store, dataset, [(rows[0], Edit())], 1, Wish("2:1", "subject", Target(128, 32)))
    assert dict(made.around) == {"subject": 1}
    with pytest.raises(DarkroomError, match="opencv-python-headless"):
        list(find_crops(store, dataset, [(rows[0], Edit())], 1, Wish("2:1", "face", Target(128, 32))))
    with pytest.raises(DarkroomError, match="opencv-python-headless"):
        make_masks(store, dataset, rows, 1)
    assert not store.pictures(dataset)[0].mask


def test_a_version_without_the_cascades_counts_as_none(monkeypatch, tmp_path):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed()


def test_the_server_is_built_without_importing_it():
    code = "import sys, studio.web.server, studio.cli.root; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_many_threads_may_open_it_at_once():
    code = (
        "import sys; from concurrent.futures import ThreadPoolExecutor as T; from studio.datasets.opencv import cascade_path, load_opencv\n"
        "sys.setswitchinterval(1e-5)\n"  # half imported it has no cascades: as many chances as there can be to see it so
        "with T(8) as pool: print(len(set(pool.map(cascade_path, ['eye'] * 8))), load_opencv().getNumThreads())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr
