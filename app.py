"""Darkroom's app: `python app.py`, then open the address that it prints."""

from __future__ import annotations

import argparse
import os
import sys

from backends.contract.errors import DarkroomError
from studio.web.launch import Launch, launch


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after a normal end, 2 when it cannot start (and says why)."""
    parser = argparse.ArgumentParser(description="Darkroom: a studio in which a photographer fine-tunes an image model.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; anything but this machine needs a password")
    parser.add_argument("--port", type=int, default=None, help="port (7860; the next free one where it is taken)")
    parser.add_argument("--workspace", default=None, help="folder for data sets and runs (DARKROOM_WORKSPACE, or ~/Darkroom)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    parser.add_argument("--password", default=os.environ.get("DARKROOM_PASSWORD", ""), help="ask for this password (or DARKROOM_PASSWORD)")
    given = parser.parse_args(arguments)
    try:
        launch(Launch(given.host, given.port, given.workspace, given.password, open_browser=not given.no_browser))
    except DarkroomError as error:
        sys.stderr.write(error.text + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
