"""Hostile and torn safetensors files are refused from their header alone."""

from __future__ import annotations

import json
import random
import struct

import pytest

from backends.contract.adapter_file import read_adapter_header
from backends.contract.errors import DarkroomError


def build(document: dict | bytes, data: bytes) -> bytes:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(raw)) + raw + data


GOOD = {
    "__metadata__": {"note": "zog"},
    "unet.a.lora_A.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "unet.a.lora_B.weight": {"dtype": "F16", "shape": [4, 2], "data_offsets": [24, 40]},
}
A = "unet.a.lora_A.weight"
DATA = bytes(40)


def changed(**values: object) -> dict:
    return {**GOOD, A: {**GOOD[A], **values}}  # type: ignore[dict-item]


LIES = {
    "an empty file": b"",
    "seven bytes": b"1234567",
    "a header of 2**63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header longer than the file": struct.pack("<Q", 5000) + b"{}" + DATA,
    "a header that is no JSON": build(b"{not json", DATA),
    "a header that is no UTF-8": build(b"\xff\xfe\x00", DATA),
    "a list": build(b"[1]", DATA),
    "nothing inside": build({}, b""),
    "60,000 tensors": build({f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(60_000)}, b""),
    "deep nesting": build(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
    "a name given twice": build(json.dumps(GOOD).encode()[:-1] + b',"unet.a.lora_A.weight":{}}', DATA),
    "an unknown format": build(changed(dtype="F7"), DATA),
    "a format that is no text": build(changed(dtype=["F32"]), DATA),
    "a negative side": build(changed(shape=[-2, -3]), DATA),
    "a rank of 10**9": build(changed(shape=[10**9, 3]), DATA),
    "a shape that lies": build(changed(shape=[2, 4]), DATA),
    "a shape of sevenths": build(changed(shape=[2.0, 3]), DATA),
    "true as a side": build(changed(shape=[True, 6]), DATA),
    "100 sides": build(changed(shape=[1] * 100), DATA),
    "offsets backwards": build(changed(data_offsets=[24, 0]), DATA),
    "three offsets": build(changed(data_offsets=[0, 24, 24]), DATA),
    "overlap": build({**GOOD, "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]}}, DATA),
    "a gap": build({**GOOD, "b": {"dtype": "F32", "shape": [1], "data_offsets": [44, 48]}}, DATA + bytes(8)),
    "data missing": build(GOOD, DATA[:-1]),
    "data left over": build(GOOD, DATA + b"x"),
    "an extra key": build(changed(code="x"), DATA),
    "notes that are numbers": build({**GOOD, "__metadata__": {"a": 1}}, DATA),
    "notes that are a list": build({**GOOD, "__metadata__": ["a"]}, DATA),
    "a name of 1,000 letters": build({"x" * 1000: {"dtype": "U8", "shape": [40], "data_offsets": [0, 40]}}, DATA),
}


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "good.safetensors"
    path.write_bytes(build(GOOD, DATA))
    header = read_adapter_header(path)
    assert header.metadata == {"note": "zog"} and header.rank == 2
    assert header.tensors[A].shape == (2, 3)


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused_with_its_name(lie, tmp_path):
    path = tmp_path / "lie.safetensors"
    path.write_bytes(LIES[lie])
    with pytest.raises(DarkroomError, match="“lie.safetensors” cannot be used as a LoRA") as caught:
        read_adapter_header(path)
    assert str(tmp_path) not in caught.value.text


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".ckpt", ".pkl", ".zip", ""])
def test_other_formats_are_refused_by_name_before_they_are_opened(suffix, tmp_path):
    path = tmp_path / f"lora{suffix}"
    path.write_bytes(build(GOOD, DATA))
    with pytest.raises(DarkroomError, match="not a .safetensors file"):
        read_adapter_header(path)


def test_2000_random_mutants_are_read_or_refused_but_never_crash(tmp_path):
    good, chance, refused = build(GOOD, DATA), random.Random(0), 0
    path = tmp_path / "mutant.safetensors"
    for _ in range(2000):
        mutant = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            kind = chance.randrange(4)
            at = chance.randrange(max(1, len(mutant)))
            if kind == 0 and mutant:
                mutant[at] = chance.randrange(256)
            elif kind == 1:
                del mutant[at : at + chance.randint(1, 20)]
            elif kind == 2:
                mutant[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
            elif mutant:
                mutant[at:at] = mutant[at : at + chance.randint(1, 40)]
        path.write_bytes(mutant)
        try:
            header = read_adapter_header(path)
            assert all(t.end <= len(mutant) for t in header.tensors.values())
        except DarkroomError:
            refused += 1
    assert refused > 1500
