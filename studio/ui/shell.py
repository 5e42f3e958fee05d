"""The few pieces that every page is built of: widget, text, head and dock."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
from gradio.context import Context as GradioContext

from studio.ui.text import PAGES
from studio.web.brand import BRAND

# For every event that only moves data between a page and the disk: no queue, no spinner, not in the public API.
# This is not access control: a private event can still be called, so handlers check every argument and take ids.
PRIVATE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def widget(name: str, elem_id: str, value: Any = None, **kwargs: Any) -> gr.HTML:
    """A place for `assets/brand/js/<name>.js`, which gets its element by `mount(el, {props, trigger, watch})`.

    The template never changes, so Gradio never redraws what the widget has drawn; a new value arrives by `watch`.
    """
    mount = (
        f"import('{BRAND}/js/{name}.js').then(m => m.mount(element.querySelector('.w'), {{props, trigger, watch}}))"
        f".catch(e => import('{BRAND}/js/core.js').then(m => m.broken(element.querySelector('.w'), e)))"
    )
    return gr.HTML(value, html_template='<div class="w"></div>', elem_id=elem_id, apply_default_css=False, js_on_load=mount, **kwargs)


def html(text: str, elem_id: str | None = None, js: str | None = None) -> gr.HTML:
    """Our own HTML as it stands. Never put a person's words in here: those go in by JavaScript, as text."""
    return gr.HTML(text, elem_id=elem_id, apply_default_css=False, js_on_load=js)


def icon(name: str, size: str = "s") -> str:
    """The HTML of one icon of icons.svg; `size` is s (16 px), l (22 px) or empty (18 px)."""
    return f'<svg class="d-i {size}" viewBox="0 0 20 20" aria-hidden="true"><use href="{BRAND}/icons.svg#{name}"/></svg>'


def head(page: str, tools: str = "") -> gr.HTML:
    """The page's title with its sentence; on the phone the switcher stands above it. `tools` is HTML of ours."""
    crumb = f"import('{BRAND}/js/rail.js').then(m => element.querySelectorAll('.d-crumb').forEach(m.crumb))"
    text = f"<h1>{escape(PAGES[page].title)}</h1><p>{escape(PAGES[page].sentence)}</p>"
    return html(
        f'<header class="d-head"><div><button type="button" class="d-crumb"></button>{text}</div>{tools}</header>', "page-head", crumb
    )


def dock(sentence: str, *buttons: tuple[str, str, str, list[str]], ring: bool = False) -> list[gr.Button]:
    """The bar at the bottom with what will happen and the page's one main action.

    Args:
        sentence: HTML of ours; widgets rewrite it through `say` of core.js.
        *buttons: Each (label, variant, element id, classes).
        ring: Leave a place for the ring that shows how far a job is.
    """
    with gr.Column(elem_classes="d-dock", elem_id="dock"), gr.Row():
        html(('<span class="ring"></span>' if ring else "") + f"<p>{sentence}</p>", "dock-say")
        return [
            gr.Button(label, variant=variant, elem_id=elem_id, elem_classes=classes)  # type: ignore[arg-type]
            for label, variant, elem_id, classes in buttons
        ]


def on_load(handler: Any, inputs: Any = None, outputs: Any = None, **kwargs: Any) -> Any:
    """The page's load event: `handler` may take a `gr.Request`, whose `query_params` are those of the page's address."""
    assert GradioContext.root_block is not None, "a page is built inside gr.Blocks"
    return GradioContext.root_block.load(handler, inputs, outputs, **kwargs)
