"""How the studio speaks with its workers: one JSON object a line, on the worker's stdin and stdout. Torch-free.

Request  {"id": "7", "op": "caption", ...}; {"op": "cancel", "id": "7"} takes back a request that waits or runs.
Reply    {"id": "7", "kind": ..., ...}; any number of them, the last one's kind is `done`, `failed` (with `text` and
         `field`) or `cancelled`. Requests are answered one after the other, in the order they came.

The end of stdin ends the worker at once: whoever asked is gone, and files are only ever written whole.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from backends.contract.errors import DarkroomError

LAST_KINDS = ("done", "failed", "cancelled")
log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised inside a worker to leave a request that was taken back."""


@dataclass
class Request:
    """One request on the worker's side: its values, and the way to answer while it runs."""

    id: str
    op: str
    values: dict[str, Any]
    send: Callable[[dict[str, Any]], None]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def reply(self, kind: str, **values: Any) -> None:
        """Sends one reply."""
        self.send({"id": self.id, "kind": kind, **values})

    def check(self) -> None:
        """Leaves the request by `Cancelled` where it was taken back; called wherever work can be cut."""
        if self.cancelled.is_set():
            raise Cancelled


Handler = Callable[[Request], dict[str, Any] | None]


def take_stdio() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the studio, moved away from fd 0 and 1, so that no library's print can tear a line.

    What is printed goes to stderr from now on; stdin is empty.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, replies


def serve(handlers: dict[str, Handler], explain: Callable[[BaseException], str | None] = lambda error: None) -> None:
    """Answers requests until stdin ends. A handler's result becomes the values of the reply `done`.

    Args:
        handlers: What answers each `op`.
        explain: A plain sentence for an exception that it knows (out of memory, say), else None.
    """
    requests, replies = take_stdio()
    lock = threading.Lock()
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    known: dict[str, Request] = {}

    def send(message: dict[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False).encode("utf-8") + b"\n"
        with lock:
            replies.write(line)
            replies.flush()

    def listen() -> None:
        for line in requests:
            message = json.loads(line)
            number = str(message.pop("id", ""))
            if message.get("op") == "cancel":
                if number in known:
                    known[number].cancelled.set()
            else:
                known[number] = Request(number, str(message.pop("op", "")), message, send)
                waiting.put(known[number])
        sys.stderr.flush()
        os._exit(0)  # the main thread may be deep in a computation that nobody waits for any more

    threading.Thread(target=listen, daemon=True).start()
    while True:
        request = waiting.get()
        try:
            _answer(request, handlers, explain)
        except BrokenPipeError:
            return
        known.pop(request.id, None)


def _answer(request: Request, handlers: dict[str, Handler], explain: Callable[[BaseException], str | None]) -> None:
    try:
        request.check()
        if request.op not in handlers:
            raise DarkroomError(f"This worker has no “{request.op}”; it has {', '.join(handlers)}.")
        request.reply("done", **(handlers[request.op](request) or {}))
    except Cancelled:
        request.reply("cancelled")
    except DarkroomError as error:
        request.reply("failed", text=error.text, field=error.field)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the process edge: one failed request must not take the worker down
        log.exception("request %s (%s) failed", request.id, request.op)
        text = explain(error) or f"It went wrong inside: {type(error).__name__}: {str(error)[:300]}"
        request.reply("failed", text=text, field=None)
