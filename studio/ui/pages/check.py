"""The Check page: everything is drawn by its widget; the dock's buttons are native."""

from __future__ import annotations

from studio.ui import shell
from studio.web.context import Context

_TOOLS = f"""<div class="d-tools">
<a class="d-btn quiet" id="ck-print" hidden target="_blank" rel="noopener"
 title="A page to read, send and print">{shell.icon("log")} Report</a>
<a class="d-btn quiet d-hide-p" id="ck-report" hidden download title="The same for programs">{shell.icon("down2")} JSON</a>
<button type="button" class="d-btn" id="ck-again">{shell.icon("refresh")} Check again</button></div>"""
# The address carries the data set, which only the browser knows when the page is drawn.
_LINK = """
const id = new URLSearchParams(location.search).get('dataset');
for (const [name, file] of [['ck-print', 'dataset_report.html'], ['ck-report', 'dataset_report.json']]) {
  const a = element.querySelector('#' + name);
  if (a && id) { a.href = '/api/check/' + encodeURIComponent(id) + '/' + file; a.hidden = false; }
}"""


def build(context: Context) -> None:
    """Draws the page."""
    del context  # its widget asks the routes
    shell.head("check", _TOOLS)
    shell.html("", "ck-link", _LINK.replace("element.querySelector", "document.querySelector"))
    shell.widget("check", "report")
    shell.dock("", ("Remove them", "secondary", "ck-mend", ["d-gone"]), ("Next: train", "primary", "ck-next", ["d-gone"]))
