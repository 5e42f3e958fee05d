"""The few picture transforms that the diffusers scripts take from torchvision, in Pillow and numpy.

The project needs no torchvision, and its CPU build is not everywhere to be had; where it is installed it is used.
"""

from __future__ import annotations

import enum
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

Picture = Image.Image | torch.Tensor


class InterpolationMode(enum.Enum):
    """Names and values as in torchvision."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self._transforms = transforms

    def __call__(self, value: object) -> object:
        for transform in self._transforms:
            value = transform(value)
        return value


class Resize:
    """The shorter side becomes `size`, in px."""

    def __init__(self, size: int, interpolation: InterpolationMode = InterpolationMode.BILINEAR) -> None:
        self._size, self._filter = size, Image.Resampling[interpolation.name]

    def __call__(self, image: Image.Image) -> Image.Image:
        scale = self._size / min(image.size)
        return image.resize((round(image.width * scale), round(image.height * scale)), self._filter)


class RandomCrop:
    """A square of `size` px anywhere."""

    def __init__(self, size: int) -> None:
        self._size = size

    @staticmethod
    def get_params(image: Picture, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        (high, wide), (height, width) = measure(image), size
        return int(torch.randint(0, high - height + 1, ())), int(torch.randint(0, wide - width + 1, ())), height, width

    def __call__(self, image: Picture) -> Picture:
        return crop(image, *self.get_params(image, (self._size, self._size)))


class CenterCrop(RandomCrop):
    """The square of `size` px in the middle."""

    @staticmethod
    def get_params(image: Picture, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        high, wide = measure(image)
        return round((high - size[0]) / 2), round((wide - size[1]) / 2), *size


class RandomHorizontalFlip:
    """Mirrored with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self._p = p

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if float(torch.rand(())) < self._p else image


class ToTensor:
    """[3, height, width], 0 to 1."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)


class Normalize:
    """(x - mean) / std, a channel each."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self._mean, self._std = (torch.tensor(v).view(-1, 1, 1) for v in (mean, std))

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        return (value - self._mean) / self._std


class Lambda:
    """Any function as a transform."""

    def __init__(self, change: Callable) -> None:
        self._change = change

    def __call__(self, value: object) -> object:
        return self._change(value)


def measure(image: Picture) -> tuple[int, int]:
    """Height and width of a picture, or of the last two axes of a tensor."""
    return (image.height, image.width) if isinstance(image, Image.Image) else (image.shape[-2], image.shape[-1])


def crop(image: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """That part of the picture."""
    if isinstance(image, torch.Tensor):
        return image[..., top : top + height, left : left + width]
    return image.crop((left, top, left + width, top + height))


def provide() -> None:
    """Makes `import torchvision.transforms` work where there is none."""
    from transformers.utils import import_utils

    if import_utils.is_torchvision_available() or importlib.util.find_spec("torchvision"):
        return
    package, transforms, functional = (_module(n) for n in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"))
    for item in (InterpolationMode, Compose, Resize, RandomCrop, CenterCrop, RandomHorizontalFlip, ToTensor, Normalize, Lambda):
        setattr(transforms, item.__name__, item)
    functional.crop = crop
    transforms.functional, package.transforms = functional, transforms


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None)
    sys.modules[name] = module
    return module
