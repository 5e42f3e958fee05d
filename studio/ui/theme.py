"""Darkroom's colours and sizes as a Gradio theme.

Every colour is a variable of darkroom.css, so that one rule (`body.dark`) switches native components and our own
widgets together and no colour is written down twice.
"""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import fonts, sizes

_BOTH = {
    "body_background_fill": "var(--d-paper)",
    "body_text_color": "var(--d-ink)",
    "body_text_color_subdued": "var(--d-ink-3)",
    "background_fill_primary": "var(--d-surface)",
    "background_fill_secondary": "var(--d-well)",
    "border_color_primary": "var(--d-line)",
    "border_color_accent": "var(--d-safe)",
    "color_accent_soft": "var(--d-safe-tint)",
    "link_text_color": "var(--d-safe-ink)",
    # No boxes in boxes: blocks are transparent, the cards are our own.
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_label_background_fill": "transparent",
    "block_label_border_width": "0px",
    "block_title_text_color": "var(--d-ink)",
    "block_info_text_color": "var(--d-ink-3)",
    "panel_background_fill": "transparent",
    "panel_border_width": "0px",
    "input_background_fill": "var(--d-surface)",
    "input_background_fill_focus": "var(--d-surface)",
    "input_border_color": "var(--d-control)",
    "input_border_color_focus": "var(--d-safe)",
    "input_border_color_hover": "var(--d-control)",
    "input_border_width": "1px",
    "input_placeholder_color": "var(--d-ink-3)",
    "input_shadow": "none",
    "input_shadow_focus": "0 0 0 3px var(--d-glow)",
    # Actions are ink; the safelight is for selection and sliders.
    "button_primary_background_fill": "var(--d-btn)",
    "button_primary_background_fill_hover": "var(--d-btn-hover)",
    "button_primary_text_color": "var(--d-btn-ink)",
    "button_primary_text_color_hover": "var(--d-btn-ink)",
    "button_primary_border_color": "transparent",
    "button_primary_border_color_hover": "transparent",
    "button_secondary_background_fill": "var(--d-surface)",
    "button_secondary_background_fill_hover": "var(--d-surface)",
    "button_secondary_text_color": "var(--d-ink)",
    "button_secondary_border_color": "var(--d-line-2)",
    "button_secondary_border_color_hover": "var(--d-line-2)",
    "button_border_width": "1px",
    "checkbox_background_color": "var(--d-surface)",
    "checkbox_border_color": "var(--d-control)",
    "checkbox_background_color_selected": "var(--d-safe)",
    "checkbox_border_color_selected": "var(--d-safe)",
    "checkbox_background_color_focus": "var(--d-surface)",
    "checkbox_border_color_focus": "var(--d-safe)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_hover": "transparent",
    "checkbox_label_background_fill_selected": "transparent",
    "checkbox_label_text_color": "var(--d-ink)",
    "checkbox_label_text_color_selected": "var(--d-ink)",
    "checkbox_label_border_width": "0px",
    "slider_color": "var(--d-safe)",
    "error_background_fill": "transparent",
    "error_border_color": "transparent",
    "error_text_color": "var(--d-bad-ink)",
    "error_border_width": "0px",
}
_ONCE = {
    "color_accent": "var(--d-safe)",
    "loader_color": "var(--d-safe)",
    "block_padding": "0px",
    "form_gap_width": "0px",
    "layout_gap": "0px",
    "block_title_text_weight": "500",
    "block_title_text_size": "13px",
    "block_info_text_size": "13px",
    "input_padding": "0 12px",
    "input_radius": "9px",
    "input_text_size": "14px",
    "block_radius": "0px",
    "container_radius": "0px",
}
_BUTTONS = {"large": ("0 18px", "14px"), "medium": ("0 14px", "14px"), "small": ("0 11px", "13px")}


def build_theme() -> gr.themes.Base:
    """The theme. Fonts are files of ours (never `GoogleFont`: a host that does not answer would hold the first paint)."""
    base = gr.themes.Base(
        font=[fonts.Font("Geist"), fonts.Font("ui-sans-serif"), fonts.Font("system-ui"), fonts.Font("sans-serif")],
        font_mono=[fonts.Font("Geist Mono"), fonts.Font("ui-monospace"), fonts.Font("monospace")],
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
    )
    # Gradio falls back to its own dark value where a _dark twin is missing: both always get the same variable.
    tokens = {**_BOTH, **{name + "_dark": value for name, value in _BOTH.items()}, **_ONCE}
    for size, (padding, text) in _BUTTONS.items():
        tokens |= {
            f"button_{size}_radius": "9px",
            f"button_{size}_padding": padding,
            f"button_{size}_text_size": text,
            f"button_{size}_text_weight": "500",
        }
    return base.set(**tokens)
