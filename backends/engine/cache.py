"""Encoded pictures and captions on disk: each is encoded once, whatever number of runs and ranks need it.

One safetensors file an entry, named by a hash of everything that it depends on. Its header carries a hash of its
values, so that a damaged file is noticed and made anew; it appears by a rename, so that it is never half there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from backends.contract.errors import DarkroomError

Tensors = dict[str, torch.Tensor]
MOST_IN_MEMORY = 2**31
SAMPLED = 64


def compute_key(*parts: object) -> str:
    """The name of an entry: a hash of all parts."""
    return hashlib.sha256("\n".join(str(p) for p in parts).encode()).hexdigest()


class EncodedCache:
    """Entries in one folder, shared by runs and ranks.

    Args:
        folder: Where they lie.
        most_in_memory: Bytes of the entries of one kind that a rank holds; more are left on the disk.
    """

    def __init__(self, folder: Path, *, most_in_memory: int | None = None) -> None:
        self._folder, self.most_in_memory = folder, MOST_IN_MEMORY if most_in_memory is None else most_in_memory
        self.damaged: list[str] = []

    def read(self, key: str) -> Tensors | None:
        """The entry, or None where there is none or its values are not those that were written."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                wanted = (file.metadata() or {}).get("sha256")
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError):
            wanted, tensors = "", {}
        if wanted != _checksum(tensors):
            self.damaged.append(path.name)
            path.unlink(missing_ok=True)
            return None
        return tensors

    def read_known(self, key: str) -> Tensors:
        """An entry that was there and whole when the run began; its values are not hashed again.

        Raises:
            DarkroomError: When it is gone or cannot be read.
        """
        try:
            return safetensors.torch.load_file(self._path(key))
        except (OSError, SafetensorError) as error:
            raise DarkroomError(
                f"What was encoded is gone or damaged: {self._path(key)} ({error}). Resume the run: it is encoded anew."
            ) from None

    def measure(self, keys: list[str]) -> float:
        """Bytes of entries that are there, reckoned from some of them."""
        some = keys[:: max(1, len(keys) // SAMPLED)]
        return sum(self._path(key).stat().st_size for key in some) / max(1, len(some)) * len(keys)

    def write(self, key: str, tensors: Tensors) -> None:
        """Adds an entry. No fsync: what a power cut damages is noticed by its checksum and made anew."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            temporary.write_bytes(safetensors.torch.save(tensors, {"sha256": _checksum(tensors)}))
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Keys without a file, in order, each once."""
        return [k for k in dict.fromkeys(keys) if not self._path(k).is_file()]

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"


def fill_cache(
    cache: EncodedCache,
    keys: list[str],
    encode: Callable[[str], Tensors],
    *,
    rank: int,
    ranks: int,
    wait: Callable[[], None],
    on_done: Callable[[int, int], None],
) -> dict[str, Tensors] | None:
    """All entries of `keys`, or None where they are too many for the memory; then they are all there and whole.

    Ranks share what is missing, then read each other's. `wait` returns when every rank has called it. Where the ranks do not share a
    disk, each encodes for itself what it still misses; the same holds for an entry that turns out to be damaged.
    """
    wait()
    keys = list(dict.fromkeys(keys))
    missing = cache.missing(keys)
    wait()  # nobody may write before everybody has looked, else the shares differ
    for done, key in enumerate(missing[rank::ranks]):
        cache.write(key, encode(key))
        on_done(min(len(missing), (done + 1) * ranks), len(missing))
    wait()
    for key in cache.missing(keys):
        cache.write(key, encode(key))
    if cache.measure(keys) > cache.most_in_memory:
        for key in keys[rank::ranks]:
            _read_or_encode(cache, key, encode)
        wait()
        return None
    return {key: _read_or_encode(cache, key, encode) for key in keys}


def _read_or_encode(cache: EncodedCache, key: str, encode: Callable[[str], Tensors]) -> Tensors:
    found = cache.read(key)
    if found is None:
        found = {name: t.detach().cpu() for name, t in encode(key).items()}
        cache.write(key, found)
    return found


def _checksum(tensors: Tensors) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
