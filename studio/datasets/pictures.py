"""One picture file, whatever it is, as an upright 8-bit sRGB picture; or the reason why not."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, features

from backends.contract.errors import DarkroomError

# Only these decoders ever see a stranger's bytes: Pillow knows many more, some of which start other programs.
FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif"}
if features.check("avif"):
    FORMATS["AVIF"] = "avif"
with contextlib.suppress(ImportError):  # photos of telephones, for who installs pillow-heif
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS["HEIF"] = "heic"
MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 2**20
WAY_OUT = "Save it as PNG, JPEG, WebP, BMP, TIFF or GIF."
_SRGB = ImageCms.createProfile("sRGB")
_STRANGERS = (
    (rb"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg", "an SVG drawing"),
    (rb"^\s*(<!doctype html|<html)", "a web page"),
    (rb"^8BPS", "a Photoshop document"),
    (rb"^%!PS|^\xc5\xd0\xd3\xc6", "a PostScript file"),
    (rb"^%PDF", "a PDF"),
    (rb"^SIMPLE  =", "a FITS file"),
    (rb"^....ftyp(heic|heix|hevc|mif1|msf1)", "a HEIC photo (they are read where pillow-heif is installed)"),
    (rb"^....ftypavi[fs]", "an AVIF picture"),
    (rb"^....ftyp", "a video"),
    (rb"^PK\x03\x04", "a ZIP"),
    (rb"^(\xff\x0a|\x00\x00\x00\x0cJXL )", "a JPEG XL picture"),
)


class PictureRefused(DarkroomError):
    """A file that cannot be taken as a picture; the text says why and what to do."""


@dataclass(frozen=True)
class Decoded:
    """A picture ready for training.

    `pixels` are upright RGB in sRGB, 8 bits a channel; `suffix` belongs to the original's true kind; `notes` says what was lost or changed
    on the way, in plain sentences.
    """

    pixels: Image.Image
    suffix: str
    notes: list[str] = field(default_factory=list)

    @property
    def image(self) -> Image.Image:
        """A copy without EXIF, place, profile or comment, to be kept."""
        clean = self.pixels.copy()  # plain, of no file kind
        clean.info.clear()
        return clean


def decode_picture(data: bytes) -> Decoded:
    """The picture in `data`, decoded whole.

    Raises:
        PictureRefused: When it is not a picture, of a kind that is not taken, damaged, or above 50 megapixels.
    """
    if not data:
        raise PictureRefused("The file is empty (0 bytes). Copy it again from where it came from.")
    try:
        image = Image.open(io.BytesIO(data), formats=list(FORMATS))
        _refuse_too_large(*image.size)
        suffix = FORMATS[str(image.format)]
        notes = _frame_notes(image)
        image.load()
        return Decoded(_to_srgb(image, notes), suffix, notes)
    except PictureRefused:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(int(pixels[1]) if pixels else 4 * MAX_PIXELS) from None
    except UnidentifiedImageError:
        raise PictureRefused(_name_stranger(data)) from None
    except Exception as error:  # noqa: BLE001 - a decoder that is fed a stranger's bytes may raise anything; each is a refusal
        raise PictureRefused(_explain(error)) from None


def _refuse_too_large(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(width * height, f"{width:,} x {height:,} px, ")
    if width < 1 or height < 1:
        raise PictureRefused(f"The picture is {width} x {height} px: it has no area. Save it again.")


def _too_large(pixels: int, size: str = "") -> PictureRefused:
    return PictureRefused(
        f"The picture has {size}{pixels / 1e6:,.0f} megapixels; at most {MAX_PIXELS // 10**6} are taken. Make it smaller and add it again."
    )


def _name_stranger(data: bytes) -> str:
    head = data[:2048]
    if not any(head):
        return "The file holds only zeros: it was damaged on the way. Copy it again from where it came from."
    for pattern, name in _STRANGERS:
        if re.search(pattern, head, re.IGNORECASE | re.DOTALL):
            return f"It is {name}, not one of the kinds that are taken. {WAY_OUT}"
    return f"It is not a picture that can be read. {WAY_OUT}"


def _explain(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or "eof" in text or "not enough" in text or isinstance(error, EOFError):
        return "The file ends in the middle. Copy it again from where it came from."
    return "The file is damaged and cannot be read whole. Copy it again from where it came from."


def _frame_notes(image: Image.Image) -> list[str]:
    frames = int(getattr(image, "n_frames", 1))
    return [f"Only the first of its {frames:,} frames was taken."] if frames > 1 else []


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    orientation = _orientation(image)
    image = _to_eight_bits(image)
    image, alpha = _split_alpha(image)
    image = _apply_profile(image, profile, notes)
    if alpha is not None:
        if alpha.getextrema() != (255, 255):
            notes.append("Its transparent parts are now white.")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=alpha)
        image = paper
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return image


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_alpha(data: bytes) -> Image.Image | None:
    """How opaque each place of a picture is, grey and upright; None where all of it is, or it knows no transparency.

    Raises:
        PictureRefused: When it cannot be read.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=list(FORMATS))
        image.load()
        orientation = _orientation(image)
        _, alpha = _split_alpha(image)
    except Exception as error:  # noqa: BLE001 - as above
        raise PictureRefused(_explain(error)) from None
    if alpha is None or alpha.getextrema() == (255, 255):
        return None
    return alpha.transpose(_TURNS[orientation]) if orientation in _TURNS else alpha


def _orientation(image: Image.Image) -> int:
    try:
        value: Any = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - broken EXIF must not cost a good picture
        return 1
    return value if isinstance(value, int) else 1


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scales deep grey to 8 bits; Pillow's own conversion would clip everything above 255 to white."""
    if image.mode == "F":
        raise PictureRefused("It stores 32-bit floating-point values, whose white is not defined. Save it with 8 or 16 bits a channel.")
    if image.mode != "I" and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PictureRefused("It stores 32-bit whole numbers, whose white is not defined. Save it with 8 or 16 bits a channel.")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    if image.mode == "PA" or (image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        return image.convert("RGB" if image.mode == "RGBA" else "L"), alpha
    if image.mode in ("1", "P"):
        return image.convert("RGB"), None
    return image, None


def _apply_profile(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """RGB in sRGB. A profile that is broken, or made for other channels, is left out and told."""
    source: Any = None
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()
        except (OSError, ImageCms.PyCMSError):
            source = None
            notes.append("Its colour profile is broken, so its colours were taken as they are.")
        else:
            if image.mode == "RGB" and name.lower().startswith("srgb"):
                return image  # converting sRGB to sRGB only adds rounding
    if source is not None:
        try:
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, ValueError):
            notes.append("Its colour profile does not fit the picture, so its colours were taken as they are.")
        else:
            if converted is not None:
                return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def encode_png(image: Image.Image) -> bytes:
    """`image` as PNG bytes. Light compression: a data set is written once and read once."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()


def encode_webp(image: Image.Image, size_px: int) -> bytes:
    """`image` as WebP, its longer side at most `size_px`."""
    small = ImageOps.contain(image, (size_px, size_px), Image.Resampling.LANCZOS) if max(image.size) > size_px else image
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()
