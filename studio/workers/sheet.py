"""A comparison as one PNG: every cell at its full size, labelled, the settings inside."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

_PAPER, _INK, _FAINT, _RED, _EMPTY = "#faf9f7", "#1a1816", "#6f6a63", "#c9512a", "#e9e5df"


def build_sheet(title: str, status: dict[str, Any], pictures: list[list[Path | None]]) -> bytes:
    """The PNG's bytes.

    Args:
        title: Name of the run.
        status: As `ComparisonStore.status` gives it.
        pictures: Rows of cells; None is one that is not drawn yet.
    """
    side = _cell_side(pictures)
    text = max(13, round(side / 20))
    gap, left, top = max(4, side // 40), max(150, round(side * 0.7)), text * 6
    columns, rows = len(status["columns"]), len(status["prompts"])
    sheet = Image.new("RGB", (left + columns * (side + gap) + gap, top + rows * (side + gap) + gap), _PAPER)
    draw, font, bold = ImageDraw.Draw(sheet), ImageFont.load_default(text), ImageFont.load_default(round(text * 1.3))
    head = f"{title}: seed {status['seed']}, scale {status['scale']:.2f}"
    draw.text((gap * 2, text // 2), _fit(draw, head, bold, sheet.width - gap * 4), _INK, font=bold)
    for index, column in enumerate(status["columns"]):
        x = left + index * (side + gap)
        name = column.get("side", "").capitalize() or ("Base" if column["step"] == 0 else f"Step {column['step']:,}")
        loss = column.get("heldout_loss")
        note = f"held-out {loss:.4f}" if loss is not None else ""
        draw.text((x, top - text * 3), _fit(draw, name, bold, side), _RED if column["best"] else _INK, font=bold)
        draw.text((x, top - text * 1.4), _fit(draw, note, font, side), _FAINT, font=font)
    for row, prompt in enumerate(status["prompts"]):
        y = top + row * (side + gap)
        lines = _wrap(draw, prompt["text"], font, left - gap * 4)[: max(1, side // (text + 4))]
        draw.multiline_text((gap * 2, y), "\n".join(lines), _INK, font=font, spacing=4)
        for index, path in enumerate(pictures[row]):
            box = (left + index * (side + gap), y)
            if path is None:
                draw.rectangle((*box, box[0] + side - 1, box[1] + side - 1), _EMPTY)
                continue
            with Image.open(path) as picture:
                sheet.paste(picture.convert("RGB"), box)
    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt("darkroom", json.dumps(_settings(title, status), ensure_ascii=False))
    sheet.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _settings(title: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "software": "Darkroom", "run": title, **status.get("settings", {}), "seed": status["seed"], "scale": status["scale"],
        "prompts": [p["text"] for p in status["prompts"]],
        "columns": [{"step": c["step"], "heldout_loss": c["heldout_loss"]} for c in status["columns"] if not c.get("side")],
    }  # fmt: skip


def _cell_side(pictures: list[list[Path | None]]) -> int:
    sides = []
    for path in (p for row in pictures for p in row if p):
        with Image.open(path) as picture:
            sides.append(max(picture.size))
    return max(sides)


def _fit(draw: ImageDraw.ImageDraw, text: str, font: Any, width: float) -> str:
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"


def _wrap(draw: ImageDraw.ImageDraw, text: str, font: Any, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_fit(draw, line, font, width) for line in lines]
