"""Work on many pictures at once: threads for a handful, processes for hundreds, so that all cores are busy and none waits for a lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MANY = 500  # from here on it pays to start processes, which takes about half a second
_CHUNK = 16
_MOST = 16
_MOST_THREADS = 4  # a picture of 50 megapixels takes half a gigabyte while it is worked on


def work_through(
    function: Callable[[Item], Result], items: Iterable[Item], count: int, crashed: Callable[[Item], Result], *, many: int = MANY
) -> Generator[Result]:
    """What `function` makes of each item, in their order. Closing the iterator ends the work that is under way.

    Args:
        function: Called in another thread or process, where it must be known by its name.
        items: As many as one likes; only some of them are fetched and under way at a time.
        count: About how many they are.
        crashed: What to answer for an item that brought its process down, as a damaged file may do with a decoder.
        many: From how many items on processes are used.
    """
    cores = os.cpu_count() or 1
    if count >= many and cores > 1:
        yield from _in_processes(function, iter(items), crashed, min(cores, _MOST))
    elif count > 1 and cores > 1:
        with ThreadPoolExecutor(min(cores, _MOST_THREADS, count)) as threads:
            yield from threads.map(function, items)
    else:
        yield from map(function, items)


def _in_processes(
    function: Callable[[Item], Result], items: Iterator[Item], crashed: Callable[[Item], Result], count: int
) -> Iterator[Result]:
    crew = _Crew(function, crashed)
    threads = ThreadPoolExecutor(count)
    under_way: deque[Future[list[Result]]] = deque()
    try:
        while chunk := list(islice(items, _CHUNK)):
            under_way.append(threads.submit(crew.work, chunk))
            if len(under_way) > 2 * count:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        crew.dismiss()


class _Crew(Generic[Item, Result]):
    """One process for each thread that asks. Not of `multiprocessing`, which runs the program's first module in each of them again."""

    def __init__(self, function: Callable[[Item], Result], crashed: Callable[[Item], Result]) -> None:
        self._function, self._crashed = function, crashed
        self._mine = threading.local()
        self._hands: list[_Hand] = []
        self._guard = threading.Lock()
        self._over = False

    def work(self, chunk: list[Item]) -> list[Result]:
        """Has the chunk worked on; where a process falls over it, each item by itself."""
        try:
            return self._hand().work(self._function, chunk)
        except EOFError:
            return [self._work_alone(item) for item in chunk]

    def dismiss(self) -> None:
        """Ends all processes, whatever they are at."""
        with self._guard:
            self._over = True
            for hand in self._hands:
                hand.end()

    def _work_alone(self, item: Item) -> Result:
        try:
            return self._hand().work(self._function, [item])[0]
        except EOFError:
            return self._crashed(item)

    def _hand(self) -> _Hand:
        hand: _Hand | None = getattr(self._mine, "hand", None)
        if hand is None or hand.is_gone:
            with self._guard:
                if self._over:
                    raise RuntimeError("The work was ended.")
                hand = self._mine.hand = _Hand()
                self._hands.append(hand)
        return hand


class _Hand:
    """A process that works on what it is given through a pipe."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])
        finally:
            theirs.close()
        self.is_gone = False

    def work(self, function: Callable[[Any], Any], chunk: list[Any]) -> list[Any]:
        """The results; raises what the function raised, or EOFError where the process is no more."""
        try:
            self._pipe.send((function, chunk))
            results, error = self._pipe.recv()
        except (EOFError, OSError):
            self.end()
            raise EOFError from None
        if error is not None:
            raise error
        return list(results)

    def end(self) -> None:
        """At once."""
        self.is_gone = True
        self._process.kill()
        self._process.wait()


def serve(handle: int) -> None:
    """What such a process does until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the one who asks
    pipe: Connection[Any, Any] = Connection(handle)
    while True:
        try:
            function, chunk = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[Any, Any] = ([function(item) for item in chunk], None)
        except Exception as error:  # noqa: BLE001 - raised again where the work was asked for
            answer = (None, error)
        pipe.send(answer)
