"""The Check page: everything is drawn by its widget; the dock's buttons are native."""

from __future__ import annotations

from studio.ui import shell
from studio.web.context import Context

_TOOLS = f"""<div class="d-tools">
<a class="d-btn quiet" id="ck-report" hidden download>{shell.icon("down2")} Report</a>
<button type="button" class="d-btn" id="ck-again">{shell.icon("refresh")} Check again</button></div>"""
# The address carries the data set, which only the browser knows when the page is drawn.
_LINK = """
const q = new URLSearchParams(location.search), a = element.querySelector('#ck-report');
if (a && q.get('dataset')) { a.href = '/api/check/' + encodeURIComponent(q.get('dataset')) + '/dataset_report.json'; a.hidden = false; }"""


def build(context: Context) -> None:
    """Draws the page."""
    del context  # its widget asks the routes
    shell.head("check", _TOOLS)
    shell.html("", "ck-link", _LINK.replace("element.querySelector", "document.querySelector"))
    shell.widget("check", "report")
    shell.dock("", ("Remove them", "secondary", "ck-mend", ["d-gone"]), ("Next: train", "primary", "ck-next", ["d-gone"]))
