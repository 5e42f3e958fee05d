"""LAVIS' own environment: made, found, and checked. It needs packages of 2023 that the studio cannot have beside its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.workspace import Workspace

HOME = "DARKROOM_LAVIS"  # an environment elsewhere, for several workspaces
PYTHONS = ("3.11", "3.10")  # what it needs has files for these alone
NEEDED_GB = 8.0  # torch for a GPU is the most of it; for a CPU 1.1 are enough
# What is installed one after the other: told to the person, packages, whether without what they name as needed.
STEPS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("torch", ("torch==2.13.0", "numpy==1.26.4", "setuptools==79.0.1"), False),
    ("LAVIS", ("salesforce-lavis==1.0.2", "transformers==4.26.1", "timm==0.4.12"), True),
    (
        "what LAVIS reads and writes with",
        ("tokenizers==0.13.3", "huggingface-hub==0.25.2", "omegaconf==2.4.0", "iopath==0.1.10", "einops==0.8.2", "ftfy==6.3.1")
        + ("regex", "pillow>=12.3,<13", "requests", "packaging", "tqdm", "pyyaml", "filelock"),
        False,
    ),
)
_PROBE = "from backends.captioners.lavis.absent import stand_in_for_absent as s; s(); import lavis, lavis.models"
_REPOSITORY = Path(__file__).resolve().parents[2]
_MADE = "darkroom.json"


def home_of(workspace: Workspace) -> Path:
    """Where the environment lies or will lie."""
    return Path(os.environ[HOME]).expanduser() if os.environ.get(HOME) else workspace.root / "envs" / "lavis"


def find_lavis(workspace: Workspace) -> Path:
    """Its Python.

    Raises:
        DarkroomError: When the environment was not made, not to its end, or by another version of these pins.
    """
    home = home_of(workspace)
    made = files.read_json(home / _MADE)
    way_out = "Make it once with: python -m studio setup-lavis (some minutes; 1 to 8 GB). BLIP of the list needs none of it."
    if not isinstance(made, dict):
        raise DarkroomError(f"LAVIS is not set up: there is no finished environment in {home}. {way_out}", field="captioner")
    if made.get("packages") != _packages():
        raise DarkroomError(
            f"The environment of LAVIS in {home} was made for another version of the studio. Make it anew with: "
            "python -m studio setup-lavis --anew",
            field="captioner",
        )
    return _python_in(home)


def make_lavis(workspace: Workspace, tell: Callable[[str], None], *, anew: bool = False, pip: Sequence[str] = ()) -> float:
    """Makes the environment; minutes that it took, 0 where it was there.

    Args:
        workspace: In whose folder `envs/lavis` it goes, unless DARKROOM_LAVIS names another.
        tell: Is given a sentence before each step.
        anew: Also where it is there.
        pip: Options for pip, as they stand: an index of one's own, say.

    Raises:
        DarkroomError: When there is no fitting Python, no room, or a package cannot be had; what was half made is taken away.
    """
    home = home_of(workspace)
    if not anew and isinstance(made := files.read_json(home / _MADE), dict) and made.get("packages") == _packages():
        return 0.0
    python = _choose_python()
    if home.exists() and any(home.iterdir()) and not (home / _MADE).is_file():  # a Python environment of somebody else's, say
        raise DarkroomError(f"The folder {home} holds something else. Empty it, or name another in {HOME}.")
    home.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home.parent).free / 1e9
    if free < NEEDED_GB:
        raise DarkroomError(
            f"{free:.1f} GB are free where {home} would lie; {NEEDED_GB:g} are wanted. Free some, or name a place in {HOME}."
        )
    started = time.monotonic()
    try:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        files.write_json(home / _MADE, {"packages": []})  # ours, and not finished
        tell(f"Step 1 of {len(STEPS) + 2}: an empty environment in {home}")
        _run([python, "-m", "venv", str(home)])
        for number, (what, packages, alone) in enumerate(STEPS, 2):
            tell(f"Step {number} of {len(STEPS) + 2}: {what}, {(time.monotonic() - started) / 60:.1f} min so far")
            _run([str(_python_in(home)), "-m", "pip", "install", "-q", *pip, *(["--no-deps"] if alone else []), *packages])
        tell(f"Step {len(STEPS) + 2} of {len(STEPS) + 2}: does it start?")
        _run([str(_python_in(home)), "-c", _PROBE])
        minutes = (time.monotonic() - started) / 60
        files.write_json(home / _MADE, {"packages": _packages(), "minutes": round(minutes, 2)})
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)  # half of an environment is none
        raise
    return minutes


def compute_size_gb(home: Path) -> float:
    """What the environment takes on the disk, in 10**9 bytes."""
    return sum(f.lstat().st_size for f in home.rglob("*") if f.is_file() and not f.is_symlink()) / 1e9


def _python_in(home: Path) -> Path:
    return home / "bin" / "python"


def _packages() -> list[str]:
    return [package for _, packages, _ in STEPS for package in packages]


def _choose_python() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS:
        return sys.executable
    for version in PYTHONS:
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:  # a shim may lead nowhere
            return found
    raise DarkroomError(
        f"LAVIS needs Python {' or '.join(PYTHONS)}, and the studio runs on {sys.version.split()[0]}. "
        f"Install Python {PYTHONS[0]} beside it."
    )


def _run(command: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_REPOSITORY, env=environment)
    except OSError as error:
        raise DarkroomError(f"{Path(command[0]).name} could not be started: {error.strerror}.") from None
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip() and not line.startswith("WARNING")]
        last = next((line for line in said if line.startswith("ERROR")), said[-1] if said else "it said nothing")
        why = last.strip()[:300].rstrip(".")
        raise DarkroomError(f"The environment of LAVIS could not be made: {why}. Nothing of it was left. Mend that, then try again.")
