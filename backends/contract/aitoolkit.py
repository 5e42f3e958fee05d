"""Where ai-toolkit is on this machine: its folder, and the Python that has its packages. Torch-free; nothing of it is imported.

The environment decides (DARKROOM_AITOOLKIT, DARKROOM_AITOOLKIT_PYTHON), else what `python -m studio setup aitoolkit` wrote down in
the workspace.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError

FOLDER, PYTHON = "DARKROOM_AITOOLKIT", "DARKROOM_AITOOLKIT_PYTHON"
HOMEPAGE = "https://github.com/ostris/ai-toolkit"
SETTINGS = "external.json"
ENVIRONMENTS = ("venv", ".venv", "env")
NEEDED = ("torch", "diffusers", "transformers", "safetensors")
_TRAINER, _CONFIGS = Path("extensions_built_in/sd_trainer/DiffusionTrainer.py"), Path("toolkit/config_modules.py")
# A saved file below a path with one of the first four is none of a LoRA for it; the last it replaces by the run's name.
_MISTAKEN = ("_LoRA", "_refiner", "_t2i", "_cn", "[name]")
_SETUP = "python -m studio setup aitoolkit --folder FOLDER"


@dataclass(frozen=True)
class AiToolkit:
    """One installation and what its version can do.

    `saves_on_request` and `samples_on_request` while it trains; `judges` on pictures held out.
    """

    folder: Path
    python: Path
    version: str
    saves_on_request: bool
    samples_on_request: bool
    judges: bool


def find_ai_toolkit(workspace: Path) -> AiToolkit:
    """The installation that runs of this workspace use.

    Raises:
        DarkroomError: When none is set, or the one that is set cannot be used; with the way out.
    """
    known = _read_settings(workspace)
    folder, python = os.environ.get(FOLDER) or known.get("folder"), os.environ.get(PYTHON) or known.get("python")
    if not folder:
        raise DarkroomError(
            f"ai-toolkit is not set up. Clone it from {HOMEPAGE}, make its environment as its README says, then: {_SETUP}", field="backend"
        )
    if os.environ.get(FOLDER) and not os.environ.get(PYTHON):
        python = None  # the one written down belongs to the folder written down
    return read_ai_toolkit(Path(folder), Path(python) if python else None)


def read_ai_toolkit(folder: Path, python: Path | None = None) -> AiToolkit:
    """The installation in this folder; without `python` its own environment is looked for there.

    Raises:
        DarkroomError: When it is not one, is too old, or has no environment.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise _fault(f"There is no folder {folder}. Give the one that ai-toolkit was cloned into: {_SETUP}")
    if not (folder / "run.py").is_file() or not (folder / "toolkit").is_dir():
        raise _fault(f"{folder} is not ai-toolkit: it has no run.py with toolkit/ beside it. Give the folder it was cloned into: {_SETUP}")
    trainer = _read_text(folder / _TRAINER)
    if not trainer:
        raise _fault(f"The ai-toolkit in {folder} is older than September 2025 and cannot be asked to stop. Update it there: git pull")
    found = re.search(r"VERSION\s*=\s*[\"']([\w.]+)", _read_text(folder / "version.py"))
    return AiToolkit(
        folder=folder,
        python=_find_python(folder, python),
        version=found[1] if found else "",
        saves_on_request="save_now" in trainer,
        samples_on_request="sample_now" in trainer,
        judges="validation_config" in _read_text(folder / _CONFIGS),
    )


def record_ai_toolkit(workspace: Path, found: AiToolkit) -> None:
    """Writes down which installation the runs of this workspace use."""
    known = files.read_json(workspace / SETTINGS, {})
    entry = {"aitoolkit": {"folder": str(found.folder), "python": str(found.python)}}
    files.write_json(workspace / SETTINGS, {**(known if isinstance(known, dict) else {}), **entry})


def check_python(found: AiToolkit) -> None:
    """Starts its Python and looks whether the packages are there.

    Raises:
        DarkroomError: When it does not start, or lacks some; names them.
    """
    asked = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])"
    try:
        answer = subprocess.run(
            [str(found.python), "-c", asked, *NEEDED], capture_output=True, text=True, timeout=60, check=True, cwd=found.folder
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _fault(f"{found.python} does not start ({type(error).__name__}). Name its Python with --python PATH.") from None
    missing = answer.stdout.split()
    if missing:
        raise _fault(
            f"{found.python} lacks {', '.join(missing)}. Install what ai-toolkit needs: "
            f"{found.python} -m pip install -r {found.folder / 'requirements.txt'}; or name another Python with --python PATH."
        )


def check_run_folder(root: Path) -> None:
    """Refuses a place in which ai-toolkit would not find its own checkpoints again and begin anew at each Resume.

    Raises:
        DarkroomError: Naming the part of the path that it takes for something else.
    """
    part = next((m for m in _MISTAKEN if m in str(root)), None)
    if part:
        raise _fault(
            f"The workspace lies in {root}; ai-toolkit takes “{part}” in a path for something else and would begin anew at each Resume. "
            "Move the workspace, or give another with --workspace."
        )


def _find_python(folder: Path, python: Path | None) -> Path:
    if python is not None:
        python = python.expanduser().absolute()  # not resolved: an environment's Python is a link, and the link makes it one
        if not os.access(python, os.X_OK) or python.is_dir():
            raise _fault(f"There is no Python {python} that may be started. Name ai-toolkit’s own with --python PATH.")
        return python
    found = next((p for name in ENVIRONMENTS if os.access(p := folder / name / "bin" / "python", os.X_OK)), None)
    if found is None:
        raise _fault(
            f"There is no environment in {folder} (looked for {', '.join(ENVIRONMENTS)}). Make one as ai-toolkit’s README says, "
            f"or name its Python: {_SETUP} --python PATH"
        )
    return found


def _read_settings(workspace: Path) -> dict[str, Any]:
    known = files.read_json(workspace / SETTINGS, {})
    entry = known.get("aitoolkit") if isinstance(known, dict) else None
    return entry if isinstance(entry, dict) else {}


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _fault(text: str) -> DarkroomError:
    return DarkroomError(text, field="backend")
