"""Faults to put into good pictures, that the check must find again (docs/data.md counts them; `python -m bench.faults` in your own)."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont, ImageOps

from tests.studio.datasets.drawing import blur, encode


def cut(image: Image.Image, number: int) -> Image.Image:
    """A twentieth cut off: one side, another, a corner, all round."""
    width, height = image.size
    across, down = round(0.05 * width), round(0.05 * height)
    all_round = (across // 2, down // 2, width - across // 2, height - down // 2)
    box = ((across, 0, width, height), (0, down, width, height), (across, down, width, height), all_round)
    return image.crop(box[number % 4])


def copy(image: Image.Image, number: int) -> bytes:
    """A copy as they come about, by `number`: saved again, made smaller (or a little larger), turned round, cut by a twentieth."""
    size = tuple(round(side * (0.5 + 0.04 * (number % 20))) for side in image.size)
    ways = (
        lambda: encode(image, "JPEG", quality=60),
        lambda: encode(image.resize((size[0], size[1]), Image.Resampling.LANCZOS)),
        lambda: encode(ImageOps.mirror(image)),
        lambda: encode(cut(image, number // 4)),
    )
    return ways[number % 4]()


def soften(image: Image.Image, number: int) -> Image.Image:
    """Out of focus by 0.8 to 1.2 % of the longer side."""
    return blur(image, 0.008 + 0.001 * (number % 5))


def darken(image: Image.Image) -> Image.Image:
    """Every value at 0.3 of what it was."""
    return Image.eval(image, lambda value: value * 76 // 255)


def with_bars(image: Image.Image, number: int) -> Image.Image:
    """Black, white or grey bars of 4 to 12 % a side: above and below, or at both sides."""
    share, colour = (1 / 16, 1 / 8, 3 / 32, 0.04)[number % 4], ("black", "white", (30, 30, 30))[number // 4 % 3]
    framed = Image.new("RGB", image.size, colour)
    width, height = image.size
    upright = number % 4 < 2
    by = round(share * (height if upright else width))
    inner = (width, height - 2 * by) if upright else (width - 2 * by, height)
    framed.paste(image.resize(inner), (0, by) if upright else (by, 0))
    return framed


def with_mark(image: Image.Image, place: int = 3, alpha: int = 150, text: str = "© Photo Studio", size: int | None = None) -> Image.Image:
    """Half-transparent words in a corner, as a photographer lays them over all pictures; `size` in px, or by the width."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    font = ImageFont.load_default(size or max(8, image.width // 18))
    pen = ImageDraw.Draw(layer)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    margin = 0.5 * size if size else 0.03 * image.width
    x = (margin, image.width - (right - left) - margin)[place % 2]
    y = (margin, image.height - (bottom - top) - margin)[place // 2]
    pen.text((x - left, y - top), text, font=font, fill=(255, 255, 255, alpha))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
