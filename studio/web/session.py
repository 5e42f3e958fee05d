"""Signed login cookies and the brake on guessing the password."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import deque
from pathlib import Path

COOKIE = "darkroom_session"
LASTS_S = 30 * 24 * 3600
TRIES, WINDOW_S, TRIES_OF_ALL = 6, 60.0, 60


class Sessions:
    """Checks passwords and cookies.

    The key is random, lives in the workspace (mode 0600) and is mixed with the password: a restart keeps people
    signed in, another password signs everybody out.
    """

    def __init__(self, key_file: Path, password: str) -> None:
        self._password = password.encode()
        self._key = hmac.digest(_read_key(key_file), self._password, "sha256")
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def sign_in(self, password: str, address: str) -> str | None:
        """A fresh cookie for the right password, or None. Ask `seconds_to_wait` before."""
        same = hmac.compare_digest(hashlib.sha256(password.encode()).digest(), hashlib.sha256(self._password).digest())
        if not same:
            with self._lock:
                self._wrong.setdefault(address, deque()).append(time.monotonic())
            return None
        with self._lock:
            self._wrong.pop(address, None)
        content = f"{int(time.time()) + LASTS_S}.{secrets.token_urlsafe(12)}"
        return f"{content}.{self._sign(content)}"

    def valid(self, cookie: str) -> bool:
        """Whether we made this cookie and it is not too old."""
        content, _, signature = cookie.rpartition(".")
        if not content or not hmac.compare_digest(signature.encode(), self._sign(content).encode()):
            return False
        return int(content.split(".")[0]) > time.time()  # we signed it, so it is a number

    def seconds_to_wait(self, address: str) -> int:
        """0, or how long this address has to wait after too many wrong passwords (its own, or everybody's together)."""
        now = time.monotonic()
        with self._lock:
            for key in list(self._wrong):
                while self._wrong[key] and self._wrong[key][0] < now - WINDOW_S:
                    self._wrong[key].popleft()
                if not self._wrong[key]:
                    del self._wrong[key]
            mine = self._wrong.get(address, deque())
            if len(mine) >= TRIES:
                return max(1, round(mine[0] + WINDOW_S - now))
            return round(WINDOW_S) if sum(map(len, self._wrong.values())) >= TRIES_OF_ALL else 0

    def forget(self) -> None:
        """Forgives all wrong passwords so far."""
        with self._lock:
            self._wrong.clear()

    def _sign(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), "sha256").hexdigest()


def _read_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) >= 32:
        return key
    key = secrets.token_bytes(32)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    return key
