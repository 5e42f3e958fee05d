"""What every trainer imports and builds as it begins, once for all, in the process that they are forked from (`toy.PRELOAD`)."""

from __future__ import annotations

import diffusers.guiders
import diffusers.pipelines.onnx_utils  # noqa: F401 - imported by diffusers as it loads a pipeline; so is the one above
from PIL import Image
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

Image.preinit()
get_checkpoint_conversion_mapping("clip")  # the first one that is asked for builds those of all: a fifth of a short run
