"""Where the samples of a shard lie: every byte of a picture and its words come back; what is not whole is named."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.contract.pictures import open_picture
from backends.engine.shards.index import index_shard, open_index, read_words
from backends.engine.shards.member import Member
from tests.backends.engine.shards.tars import draw, pairs, pictures, write_tar


def read(shard, sample, part="picture"):
    return Member(shard, int(sample[f"{part}_at"]), int(sample[f"{part}_size"]), part).read_bytes()


def test_pictures_and_words_are_those_that_were_put_in(tmp_path):
    shard = write_tar(tmp_path / "a.tar", pictures(5, size=(48, 32)))
    samples = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    for sample, (_, members) in zip(samples, pictures(5, size=(48, 32)), strict=True):
        assert read(shard, sample) == members["png"] and read_words(shard, sample) == members["txt"].decode()
        assert (sample["width"], sample["height"]) == (48, 32)


def test_both_sides_of_a_pair_and_an_instruction_in_json(tmp_path):
    shard = write_tar(tmp_path / "a.tar", pairs(4))
    samples = open_index(index_shard(shard, tmp_path / "cache", pairs=True))
    for sample, (_, members) in zip(samples, pairs(4), strict=True):
        assert read(shard, sample, "before") == members["input.png"] and read(shard, sample) == members["output.png"]
        assert read_words(shard, sample) == json.loads(members["json"])["instruction"]


@pytest.mark.parametrize("names", [("before.png", "after.png"), ("original_image.png", "edited_image.png"), ("source.jpg", "target.jpg")])
def test_the_usual_names_of_the_sides_are_known(tmp_path, names):
    members = {names[1]: draw(1), names[0]: draw(2), "txt": b"make it so"}
    shard = write_tar(tmp_path / "a.tar", [("x", members)])
    (sample,) = open_index(index_shard(shard, tmp_path / "cache", pairs=True))
    assert read(shard, sample, "before") == members[names[0]] and read(shard, sample) == members[names[1]]


def test_a_picture_that_lies_on_its_side_is_measured_upright(tmp_path):
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(buffer, "JPEG", exif=exif)
    shard = write_tar(tmp_path / "a.tar", [("x", {"jpg": buffer.getvalue()})])
    (sample,) = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    assert (sample["width"], sample["height"]) == (20, 40)
    assert open_picture(Member(shard, int(sample["picture_at"]), int(sample["picture_size"]), "x")).size == (20, 40)


def test_it_is_made_once_and_anew_when_the_shard_is_another(tmp_path):
    shard = write_tar(tmp_path / "a.tar", pictures(2))
    first = index_shard(shard, tmp_path / "cache", pairs=False)
    made = first.stat().st_mtime_ns
    assert index_shard(shard, tmp_path / "cache", pairs=False) == first and first.stat().st_mtime_ns == made
    write_tar(shard, pictures(3))
    os.utime(shard, ns=(1, 1))
    assert len(open_index(index_shard(shard, tmp_path / "cache", pairs=False))) == 3


def test_folders_links_and_other_members_are_passed_over(tmp_path):
    shard = tmp_path / "a.tar"
    with tarfile.open(shard, "w") as tar:
        tar.addfile(_folder("folder"))
        for name, data in (("folder/1.png", draw(1)), ("folder/1.txt", b"one"), ("folder/1.cls", b"7")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (sample,) = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    assert read_words(shard, sample) == "one"


def _folder(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


@pytest.mark.parametrize(
    ("members", "wants_pairs", "said"),
    [
        ({"txt": b"words"}, False, "has no picture"),
        ({"png": draw(1)[:40], "txt": b"words"}, False, "cannot be read"),
        ({"input.png": draw(1), "txt": b"words"}, True, "not both pictures"),
        ({"input.png": draw(1), "output.png": draw(2)}, True, "no instruction"),
        ({"input.png": draw(1), "output.png": draw(2), "txt": b""}, True, "no instruction"),
        ({"input.png": draw(1), "output.png": draw(2, (32, 64)), "txt": b"x"}, True, "different size"),
    ],
    ids=["words alone", "half a picture", "half a pair", "no instruction", "an empty one", "two sizes"],
)
def test_a_sample_that_is_not_whole_is_named_with_its_shard(tmp_path, members, wants_pairs, said):
    shard = write_tar(tmp_path / "a.tar", [("fine", dict(next(pairs(1))[1] if wants_pairs else next(pictures(1))[1])), ("bad", members)])
    with pytest.raises(DarkroomError, match=rf"“bad” of the shard .*a\.tar {said}|“bad” of the shard .*{said}"):
        index_shard(shard, tmp_path / "cache", pairs=wants_pairs)
    assert not list((tmp_path / "cache").glob("*.npy"))


@pytest.mark.parametrize("damage", ["compressed", "cut", "no tar", "gone"])
def test_a_shard_that_cannot_be_read_is_named(tmp_path, damage):
    shard = write_tar(tmp_path / "a.tar", pictures(3))
    if damage == "compressed":
        with tarfile.open(shard, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("x.png"))
    elif damage == "cut":
        shard.write_bytes(shard.read_bytes()[:3000])
    elif damage == "no tar":
        shard.write_bytes(b"not a tar at all" * 200)
    else:
        shard.unlink()
    with pytest.raises(DarkroomError, match=r"a\.tar"):
        index_shard(shard, tmp_path / "cache", pairs=False)


def test_a_shard_cut_after_it_was_read_is_named_when_its_bytes_are_missing(tmp_path):
    shard = write_tar(tmp_path / "a.tar", pictures(1))
    (sample,) = np.asarray(open_index(index_shard(shard, tmp_path / "cache", pairs=False)))
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(DarkroomError, match="ends in the middle"):
        read(shard, sample)
