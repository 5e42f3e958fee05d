"""Contact sheets: many pictures on one, each over its label."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK = (250, 249, 246), (44, 42, 38)
GAP_PX = 10
LINE_PX = 13
LABEL_LINES = 2
FONT = Path(__file__).resolve().parents[1] / "brand" / "fonts" / "geist-latin-wght-normal.woff2"


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:LABEL_LINES]


def _load_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The studio's own typeface, or Pillow's where its FreeType cannot read WOFF2."""
    try:
        return ImageFont.truetype(str(FONT), 11)
    except OSError:
        return ImageFont.load_default(11)


def draw_sheet(pictures: list[Image.Image], labels: list[str], *, columns: int, side_px: int) -> Image.Image:
    """All pictures, side_px wide, row by row with their labels below, on one RGB picture."""
    font = _load_font()
    cell_x, cell_y = side_px + GAP_PX, side_px + GAP_PX + LABEL_LINES * LINE_PX
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell_x + GAP_PX, rows * cell_y + GAP_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = GAP_PX + i % columns * cell_x, GAP_PX + i // columns * cell_y
        sheet.paste(picture.resize((side_px, side_px), Image.Resampling.LANCZOS), (x, y))
        for line, text in enumerate(_wrap(label, font, side_px)):
            draw.text((x, y + side_px + 2 + line * LINE_PX), text, fill=INK, font=font)
    return sheet
