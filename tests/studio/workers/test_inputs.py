"""Pictures to edit on their way in: decoded like those of the data sets, kept by their content, named by id."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.workers.inputs import InputShelf
from studio.workspace import open_workspace


@pytest.fixture
def shelf(tmp_path):
    return InputShelf(open_workspace(tmp_path / "workspace"))


def save(path, size=(60, 40), kind="PNG", **options):
    Image.new("RGB", size, "#3b6fd6").save(path, kind, **options)
    return path


def test_a_picture_is_kept_by_its_content_upright_and_without_its_metadata(shelf, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "somebody's kitchen"
    source = save(tmp_path / "IMG_1.jpg", kind="JPEG", exif=exif)
    picture = shelf.add(source, "IMG_1.jpg")
    assert (picture.name, picture.width, picture.height) == ("IMG_1.jpg", 40, 60)
    data = shelf.path_of(picture.id).read_bytes()
    assert b"kitchen" not in data and Image.open(io.BytesIO(data)).size == (40, 60)
    assert shelf.add(source, "again.jpg").id == picture.id
    assert shelf.get(picture.id).name == "again.jpg"


def test_transparent_parts_become_white_and_that_is_told(shelf, tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "logo.png")
    picture = shelf.add(tmp_path / "logo.png", "logo.png")
    assert "white" in picture.notes[0]
    assert Image.open(shelf.path_of(picture.id)).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"\0" * 5000, "only zeros"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
        (b"PK\x03\x04rest", "a ZIP"),
        (b"\x89PNG\r\n\x1a\n" + b"\x01" * 200, "damaged|not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_by_name_and_leaves_nothing(shelf, tmp_path, content, words):
    source = tmp_path / "photo.png"
    source.write_bytes(content)
    with pytest.raises(DarkroomError, match=f"“photo.png” cannot be edited. .*({words})") as refused:
        shelf.add(source, "photo.png")
    assert refused.value.field == "image" and not shelf.folder.exists()


def test_a_picture_that_is_too_large_is_refused_from_its_header(shelf, tmp_path):
    source = tmp_path / "huge.png"
    Image.new("1", (9000, 9000)).save(source)
    with pytest.raises(DarkroomError, match="81 megapixels; at most 50"):
        shelf.add(source, "huge.png")


@pytest.mark.parametrize("name", ["../outside", "", "a" * 23, "A" * 24, "0" * 24, None, 5])
def test_pictures_are_found_by_their_id_only(shelf, name):
    with pytest.raises(DarkroomError) as refused:
        shelf.get(name)
    assert refused.value.field == "image"
