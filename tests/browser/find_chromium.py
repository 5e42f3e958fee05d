"""Finds a browser for the browser tests; with `--install` brings Debian's, at best the one that has no window (half the work a page)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of an installed browser, or None. `DARKROOM_CHROMIUM` goes first."""
    return os.environ.get("DARKROOM_CHROMIUM") or next((p for name in NAMES if (p := shutil.which(name))), None)


def install_chromium() -> None:
    """Installs Debian's browser without a window; without such a package and any browser, chromium or Playwright's own build.

    Beside a browser that will do nothing is fetched to find out what there is: apt knows it already, or it stays as it is.
    """
    if find_chromium():
        if _knows(SHELL):
            _apt("install", SHELL)
        return
    if shutil.which("apt-get"):
        _apt("update")
        if _apt("install", SHELL) or _apt("install", "chromium"):
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _knows(package: str) -> bool:
    """Whether apt's lists on this machine have it."""
    return (
        bool(shutil.which("apt-cache")) and subprocess.run(["apt-cache", "show", package], check=False, capture_output=True).returncode == 0
    )


def _apt(command: str, *packages: str) -> bool:
    """Whether apt did it."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and not shutil.which("sudo"):
        return False
    quiet = ["-qq", *(["-y", "--no-install-recommends"] if packages else [])]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run([*as_root, "apt-get", command, *quiet, *packages], check=False, env=environment).returncode == 0


if __name__ == "__main__":
    if "--install" in sys.argv and not os.environ.get("DARKROOM_CHROMIUM") and not shutil.which(SHELL):
        sys.stderr.write("Installing a browser without a window for the browser tests.\n")
        install_chromium()
    sys.stderr.write(f"Browser: {find_chromium() or 'the one of Playwright'}\n")
