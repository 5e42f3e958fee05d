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
    def get_params(image: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        height, width = size
        top = int(torch.randint(0, image.height - height + 1, ()))
        return top, int(torch.randint(0, image.width - width + 1, ())), height, width

    def __call__(self, image: Image.Image) -> Image.Image:
        return crop(image, *self.get_params(image, (self._size, self._size)))


class CenterCrop(RandomCrop):
    """The square of `size` px in the middle."""

    @staticmethod
    def get_params(image: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        return round((image.height - size[0]) / 2), round((image.width - size[1]) / 2), *size


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


def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    """That part of the picture."""
    return image.crop((left, top, left + width, top + height))


def provide() -> None:
    """Makes `import torchvision.transforms` work where there is none."""
    from transformers.utils import import_utils

    if import_utils.is_torchvision_available() or importlib.util.find_spec("torchvision"):
        return
    package, transforms, functional = (_module(n) for n in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"))
    for item in (InterpolationMode, Compose, Resize, RandomCrop, CenterCrop, RandomHorizontalFlip, ToTensor, Normalize):
        setattr(transforms, item.__name__, item)
    functional.crop = crop
    transforms.functional, package.transforms = functional, transforms


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None)
    sys.modules[name] = module
    return module
