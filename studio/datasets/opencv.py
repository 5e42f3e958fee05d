"""OpenCV, which who likes installs beside Darkroom: what it is for, how it is had, and how it is opened."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

from backends.contract.errors import DarkroomError

INSTALL = 'python -m pip install "opencv-python-headless<5"'
_PROBE = "haarcascade_frontalface_default.xml"
_guard = threading.RLock()  # while it is imported it stands twice under its name, which a second thread trips over


def is_installed() -> bool:
    """Whether it is there with the cascades that find faces, which version 5 comes without. Nothing is imported."""
    with _guard:
        spec = importlib.util.find_spec("cv2")
    return bool(spec and spec.origin and (Path(spec.origin).parent / "data" / _PROBE).is_file())


def load_opencv() -> Any:
    """The module, held to one thread: many pictures are shared among processes, and each would otherwise start as many threads as cores.

    Raises:
        DarkroomError: When it is not installed; gives the command.
    """
    if not is_installed():
        raise DarkroomError(
            f"This wants the package opencv-python-headless, version 4, which is not installed. Install it with: {INSTALL} "
            "and start Darkroom again."
        )
    with _guard:
        import cv2

        cv2.setNumThreads(1)
    return cv2


def cascade_path(name: str) -> str:
    """The file of one of its cascades, such as frontalface_default."""
    return f"{load_opencv().data.haarcascades}haarcascade_{name}.xml"
