"""ZIPs from strangers: everything or nothing, and never outside the data set."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import archive
from studio.datasets.ingest import ingest_upload
from tests.studio.datasets.drawing import draw_figure, encode, write_zip


def picture(seed: int) -> bytes:
    return encode(draw_figure(seed, 64))


def list_tree(root: Path) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_size for p in root.rglob("*") if p.is_file() and not p.name.startswith(".lock")}


def refuse(store, dataset, path, said):
    """Drops the ZIP, expects a refusal that says so, and that nothing whatever was left anywhere."""
    before = list_tree(path.parent)
    with pytest.raises(DarkroomError, match=said):
        ingest_upload(store, dataset, path.name, path)
    assert list_tree(path.parent) == before
    assert store.pictures(dataset) == []
    assert list(store.workspace.temporary.iterdir()) == []


HARMFUL_NAMES = [
    "../outside.png", "a/../../outside.png", "/etc/outside.png", "..\\outside.png", "a\\..\\..\\outside.png", "C:\\outside.png",
    "c:outside.png", "\\\\server\\share\\outside.png", "//server/outside.png",
]  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL_NAMES)
def test_one_harmful_name_and_nothing_is_taken(store, dataset, tmp_path, name):
    refuse(store, dataset, write_zip(tmp_path / "z.zip", {"good.png": picture(1), name: picture(2)}), "outside its folder")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(store, dataset, tmp_path, mode):
    refuse(store, dataset, write_zip(tmp_path / "z.zip", {"a.png": b"/etc/passwd"}, mode=mode | 0o777), "link or a device")


def test_a_locked_zip_says_so(store, dataset, tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.png": picture(1)})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    refuse(store, dataset, path, "password")


def test_a_bomb_is_refused_from_its_list(store, dataset, tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bomb:
        for n in range(6):
            bomb.writestr(f"{n}.bmp", bytes(100 << 20))
    refuse(store, dataset, path, "no pictures shrink that far")


def test_a_bomb_that_lies_about_its_size_is_stopped_while_reading(store, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1 << 20)
    path = write_zip(tmp_path / "z.zip", {"a.bmp": bytes(8 << 20)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = data[22:26] = struct.pack("<I", 1000)
    path.write_bytes(data)
    refuse(store, dataset, path, "damaged|no pictures shrink")


def test_the_budget_counts_what_is_really_read(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "z.zip", {"a.bmp": bytes(3 << 20), "b.bmp": bytes(3 << 20)})
    monkeypatch.setattr(archive, "_refuse_harm", lambda *_: None)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 4 << 20)
    with pytest.raises(DarkroomError, match="no pictures shrink"), archive.unpack(path, tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["z.zip"]


def test_a_million_entries_are_refused_before_they_are_read(store, dataset, tmp_path, monkeypatch):
    path = write_zip(tmp_path / "z.zip", {"a.png": picture(1)})
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 8 : end + 12] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)

    def never(*_args, **_kwargs):
        raise AssertionError("the list of entries was read")

    monkeypatch.setattr(archive.zipfile, "ZipFile", never)
    refuse(store, dataset, path, "lists more than 25,000 files")


def test_a_zip_that_ends_in_the_middle_gives_nothing(store, dataset, tmp_path):
    path = write_zip(tmp_path / "z.zip", {f"{n}.png": picture(n) for n in range(3)})
    path.write_bytes(path.read_bytes()[:-300])
    refuse(store, dataset, path, "ZIP")


def test_a_flipped_bit_inside_is_noticed_and_nothing_is_taken(store, dataset, tmp_path):
    path = write_zip(tmp_path / "z.zip", {f"{n}.png": picture(n) for n in range(3)})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    refuse(store, dataset, path, "damaged")


def test_a_zip_inside_a_zip_is_refused_by_name_and_the_rest_is_taken(store, dataset, tmp_path):
    inner = write_zip(tmp_path / "inner.zip", {"b.png": picture(2)}).read_bytes()
    outcomes = ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", {"a.png": picture(1), "inner.zip": inner}))
    assert [(o.name, o.accepted) for o in outcomes] == [("a.png", True), ("inner.zip", False)]
    assert "archive inside another" in outcomes[1].reason


def test_an_uncommon_packing_is_refused_for_that_file_only(store, dataset, tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", picture(1), zipfile.ZIP_DEFLATED)
        packed.writestr("b.png", picture(2), zipfile.ZIP_LZMA)
    outcomes = {o.name: o for o in ingest_upload(store, dataset, "z.zip", path)}
    assert outcomes["a.png"].accepted and not outcomes["b.png"].accepted and "deflate" in outcomes["b.png"].reason


def test_what_macs_and_windows_add_is_left_out_silently(store, dataset, tmp_path):
    entries = {"zog/a.png": picture(1), "__MACOSX/zog/._a.png": b"x", "zog/.DS_Store": b"x", "zog/Thumbs.db": b"x"}
    outcomes = ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", entries))
    assert [(o.name, o.accepted) for o in outcomes] == [("a.png", True)]


def test_a_refused_picture_does_not_cost_the_others(store, dataset, tmp_path):
    entries = {"a.png": picture(1), "b.png": picture(2)[:50], "notes.docx": b"x", "c.png": picture(3)}
    outcomes = ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", entries))
    assert {o.name: o.accepted for o in outcomes} == {"a.png": True, "b.png": False, "c.png": True, "notes.docx": False}
    assert all(o.reason for o in outcomes if not o.accepted)


def test_names_that_differ_only_in_case_or_form_are_both_kept_and_told(store, dataset, tmp_path):
    entries = {"Caf\u00e9.png": picture(1), "cafe\u0301.PNG": picture(2), "CON.png": picture(3), "dot..png": picture(4)}
    outcomes = ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", entries))
    assert all(o.accepted for o in outcomes)
    assert [p.name for p in store.pictures(dataset)] == ["Caf\u00e9.png", "cafe\u0301 (2).PNG", "CON.png", "dot..png"]
    assert "cafe\u0301 (2).PNG" in outcomes[1].reason


def test_not_enough_disk_is_said_with_figures(store, dataset, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage)
    refuse(store, dataset, write_zip(tmp_path / "z.zip", {"a.png": picture(1)}), "GB of the disk are free")


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"PK\5\6" + bytes(10), b"no zip at all" * 100, zlib.compress(b"x" * 1000)])
def test_what_is_no_zip_is_refused(store, dataset, tmp_path, data):
    path = tmp_path / "z.zip"
    path.write_bytes(data)
    refuse(store, dataset, path, "ZIP")
