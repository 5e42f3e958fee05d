"""A worker without a model, to test what lies between the studio and any worker. Not a test itself."""

from __future__ import annotations

import os
import threading

from backends.contract import wire
from backends.contract.errors import DarkroomError


def echo(request: wire.Request) -> dict:
    return {"values": request.values, "pid": os.getpid()}


def count(request: wire.Request) -> dict:
    """Replies with numbers until it is taken back, or up to `up_to`."""
    number = 0
    while number < request.values.get("up_to", 10**9):
        request.check()
        request.reply("number", number=number)
        request.cancelled.wait(0.001)
        number += 1
    return {}


def chatter(request: wire.Request) -> dict:
    """Prints as careless libraries do, from Python and from C."""
    print("not a reply")  # noqa: T201
    os.write(1, b"nor this\n")
    return {"stdin": os.read(0, 10).decode()}


def fail(request: wire.Request) -> dict:
    if request.values.get("plain"):
        raise DarkroomError("Width is 5; it must be 8.", field="width")
    raise ZeroDivisionError("inside")


def end(request: wire.Request) -> dict:
    os._exit(3)


def hang(request: wire.Request) -> dict:
    request.reply("begun")
    threading.Event().wait()
    return {}


if __name__ == "__main__":
    wire.serve({"echo": echo, "count": count, "chatter": chatter, "fail": fail, "end": end, "hang": hang})
