"""Tar files from strangers: everything or nothing, and never outside the data set."""

from __future__ import annotations

import io
import tarfile

import pytest

from studio.datasets import archive
from studio.datasets.ingest import ingest_upload
from tests.studio.datasets.test_archive import HARMFUL_NAMES, picture, refuse


def write_tar(path, entries, mode="w", kind=tarfile.REGTYPE):
    with tarfile.open(path, mode) as made:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data) if kind == tarfile.REGTYPE else 0, kind, "/etc/passwd"
            made.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")])
def test_pictures_and_captions_in_a_tar_come_in(store, dataset, tmp_path, suffix, mode):
    path = write_tar(tmp_path / "t", {"set/a.png": picture(1), "set/a.txt": b"one", "set/b.png": picture(2)}, mode)
    outcomes = ingest_upload(store, dataset, f"pictures.{suffix}", path)
    assert [o for o in outcomes if not o.accepted] == []
    assert {p.name: p.text for p in store.pictures(dataset)} == {"a.png": "one", "b.png": ""}
    assert list(store.workspace.temporary.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in HARMFUL_NAMES if not name.startswith("c:")])
def test_one_harmful_name_and_nothing_is_taken(store, dataset, tmp_path, name):
    refuse(store, dataset, write_tar(tmp_path / "t.tar", {"good.png": picture(1), name: picture(2)}), "outside its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(store, dataset, tmp_path, kind):
    refuse(store, dataset, write_tar(tmp_path / "t.tar", {"a.png": b""}, kind=kind), "link or a device")


def test_a_bomb_is_stopped_on_the_way(store, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_RATIO_FREE_BYTES", 1 << 20)
    refuse(store, dataset, write_tar(tmp_path / "t.tgz", {"a.bmp": bytes(8 << 20)}, "w:gz"), "no pictures shrink that far")


def test_too_many_files_are_refused(store, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    refuse(store, dataset, write_tar(tmp_path / "t.tar", {f"{n}.png": picture(n) for n in range(4)}), "more than 3 files")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_one_that_was_cut_is_said(store, dataset, tmp_path, mode):
    path = write_tar(tmp_path / "t.tar", {"a.png": picture(1), "b.png": picture(2)}, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    refuse(store, dataset, path, "damaged or does not end")
