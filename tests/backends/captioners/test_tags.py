"""Tags by a real ONNX file that the test makes: it finds the colour that a picture mostly has."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from backends.captioners.load import load_captioner
from backends.captioners.tags import look
from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError
from studio.workers.captioner import Captioner
from studio.workspace import open_workspace

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
NAMES = [("general", "9"), ("blue_sky", "0"), ("green_grass", "0"), ("red_rose", "0"), ("o_o", "0"), ("red_riding_hood", "4")]


def make_tagger(folder, names=NAMES):
    """Means of the channels (blue, green, red) -> a probability for each tag: high where its own colour is strong and the others weak."""
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    colour = np.array([[0, 2, -2, -2, 0, -2], [0, -2, 2, -2, 0, -2], [0, -2, -2, 2, 0, 2]], np.float32) / 100
    start = np.array([9, -1, -1, -1, -1.2, -3], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "colour"], ["product"]),
        helper.make_node("Add", ["product", "start"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["output"]),
    ]
    held = {"colour": colour, "start": start, "axes": np.array([1, 2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 32, 32, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 6])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx")
    lines = ["tag_id,name,category,count", *(f"{n},{name},{kind},5" for n, (name, kind) in enumerate(names))]
    (folder / "selected_tags.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tagger(tmp_path_factory.mktemp("tagger") / "wd")


def paint(colour):
    return Image.new("RGB", (40, 40), colour)


@pytest.mark.parametrize(("colour", "tag"), [("blue", "blue sky"), ("lime", "green grass"), ("red", "red rose")])
def test_a_tag_is_told_where_it_is_probable_and_without_underscores(folder, colour, tag):
    assert load_captioner(str(folder)).caption(paint(colour), Wording())[0].split(", ")[0] == tag


def test_a_lower_threshold_lets_more_tags_in_the_likeliest_first_and_never_the_rating(folder):
    tagger = load_captioner(str(folder))
    few, many = (tagger.caption(paint("red"), Wording(threshold=t))[0] for t in (0.35, 0.1))
    assert few == "red rose, red riding hood" and many == "red rose, red riding hood, o_o"
    assert tagger.caption(paint("red"), Wording(threshold=0.1, max_new_tokens=5)) == [many]
    assert tagger.caption(paint("red"), Wording(threshold=0.95)) == ["red rose"]


def test_a_persons_name_needs_more_certainty_than_a_thing(folder):
    """Of darker red, the rose is still told and the person is not."""
    assert load_captioner(str(folder)).caption(paint((210, 0, 0)), Wording(threshold=0.5)) == ["red rose"]


def test_a_picture_without_any_probable_tag_gets_no_words(folder):
    assert load_captioner(str(folder)).caption(paint("black"), Wording(threshold=0.5)) == []


def test_pictures_are_looked_at_on_a_white_square_blue_first():
    seen = look(Image.new("RGB", (32, 16), (200, 100, 50)), 32)
    assert seen.shape == (1, 32, 32, 3) and seen.dtype == np.float32
    assert seen[0, 16, 16].tolist() == [50, 100, 200] and seen[0, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.slow
def test_the_worker_tags_as_it_captions(folder, tmp_path):
    paint("blue").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    with Captioner(open_workspace(tmp_path / "workspace")) as captioner:
        replies = list(captioner.caption(str(folder), [tmp_path / "a.png", tmp_path / "b.png"], Wording(threshold=0.5)))
    assert replies[0].text == "blue sky" and "cannot be read" in replies[1].error


def test_without_onnxruntime_the_command_that_installs_it_is_told(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DarkroomError, match="pip install onnxruntime"):
        load_captioner(str(folder))


def test_a_list_of_another_tagger_is_refused(tmp_path):
    with pytest.raises(DarkroomError, match="knows 6 tags and its selected_tags.csv lists 5"):
        load_captioner(str(make_tagger(tmp_path / "wd", NAMES[:5])))
    (tmp_path / "wd" / "selected_tags.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(DarkroomError, match="no columns name and category"):
        load_captioner(str(tmp_path / "wd"))


def test_a_torn_file_is_told(tmp_path):
    folder = make_tagger(tmp_path / "wd")
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:60])
    with pytest.raises(DarkroomError, match="cannot be read"):
        load_captioner(str(folder))
    (folder / "model.onnx").unlink()
    with pytest.raises(DarkroomError, match="cannot be read"):
        load_captioner(str(folder))
