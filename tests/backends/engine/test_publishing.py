"""What goes to the hub lies there under the names that diffusers looks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diffusers import DiffusionPipeline

from backends.engine.publishing import upload


class Recorder:
    """Keeps what would be sent: the hub itself is out of reach of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.private = folder, False

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        self.private = private

    def upload_file(self, *, path_or_fileobj: Path, path_in_repo: str, repo_id: str) -> None:
        (self.folder / path_in_repo).write_bytes(path_or_fileobj.read_bytes())

    def upload_folder(self, *, folder_path: Path, repo_id: str) -> None:
        folder_path.rename(self.folder / "model")


@pytest.mark.parametrize("name", ["sd15/text_to_image", "sd15/instruct_pix2pix"])
def test_what_is_published_is_what_diffusers_looks_for(trained, toy_base, tmp_path, name):
    hub: Any = Recorder(tmp_path)
    upload(hub, "me/zog", trained(name))
    assert hub.private
    if name.endswith("pix2pix"):
        assert DiffusionPipeline.from_pretrained(tmp_path / "model").unet.config.in_channels == 8
    else:
        pipeline = DiffusionPipeline.from_pretrained(toy_base("sd15"))
        pipeline.load_lora_weights(tmp_path)  # without a name: it is found by itself
        assert pipeline.get_active_adapters()
