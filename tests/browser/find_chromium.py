"""Finds a browser for the browser tests; with `--install` brings Debian's chromium where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of an installed browser, or None. `DARKROOM_CHROMIUM` goes first."""
    return os.environ.get("DARKROOM_CHROMIUM") or next((p for name in NAMES if (p := shutil.which(name))), None)


def install_chromium() -> None:
    """Installs chromium from Debian's packages, or Playwright's own build where there is no apt."""
    if shutil.which("apt-get"):
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*as_root, "apt-get", "update", "-qq"], check=True, env=environment)
        subprocess.run([*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True, env=environment)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    if "--install" in sys.argv and not find_chromium():
        sys.stderr.write("No browser found: installing chromium for the browser tests.\n")
        install_chromium()
    sys.stderr.write(f"Browser: {find_chromium() or 'the one of Playwright'}\n")
