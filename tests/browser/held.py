"""Requests of a page that a test holds back, to let them go when something else has happened."""

from __future__ import annotations

from tests.waiting import wait_until


class Held:
    """Requests that match are held back, with `answered` after the server has answered them: the answer is then as old as it would be."""

    def __init__(self, page, pattern, *, answered=False, times=None):
        self._page, self._pattern, self._answered, self._through = page, pattern, answered, False
        self._held = []
        page.route(pattern, self._take, times=times)

    def __len__(self):
        return len(self._held)

    def _take(self, route):
        if self._through:
            return route.continue_()
        return self._held.append((route, route.fetch() if self._answered else None))

    def wait(self, count=1):
        """Until so many are held. The browser speaks while somebody listens to it."""
        wait_until(lambda: self._page.evaluate("true") and len(self) >= count, lambda: f"{count} of {self._pattern}, {len(self)} are held")

    def let_go(self):
        """Sends on the first that is held, and waits until the page has taken its answer."""
        route, answer = self._held.pop(0)
        with self._page.expect_event("requestfinished", lambda request: request == route.request):
            route.fulfill(response=answer) if answer else route.continue_()
        self._page.evaluate("() => new Promise((ok) => requestAnimationFrame(() => setTimeout(ok)))")

    def end(self):
        """Sends on all that are held, one after the other, and holds no other."""
        self._through = True
        while self._held:
            self.let_go()
