"""The pictures that a training learns from, and how each is shown to it."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from backends.contract.caption_reading import MOST_ORDERS, TagOrders
from backends.contract.config import Config, setting


class ShownPictures(Config):
    """How any picture is shown."""

    center_crop: bool = setting(
        False, "Cut to a square", "On or off. Off keeps each picture's shape as near as possible.", group="pictures", widget="switch"
    )
    random_flip: bool = setting(
        False, "Mirror at random", "On or off. Not for faces, text or anything with a left and a right.", group="pictures", widget="switch"
    )


class MaskedPictures(Config):
    """What of a picture is learnt, where it has a mask."""

    masked_loss: bool = setting(
        False,
        "Learn inside the masks",
        "On or off. Of a picture with a mask only what the mask covers is learnt; one without is learnt whole.",
        group="pictures",
        widget="switch",
    )
    unmasked_weight: float = setting(
        0.0,
        "Weight outside the mask",
        "0 to 1. Only with masks: 0 learns nothing of what lies outside, 0.1 keeps it from coming out at random.",
        group="pictures",
        ge=0,
        le=1,
    )


class PictureLosses(Config):
    """A look at single pictures."""

    debug_loss: bool = setting(
        False,
        "Loss of each picture",
        "On or off. Asks at each judgement how well each one is learnt, and finds the mislabelled one; costs a little time.",
        group="samples",
        widget="switch",
    )


class Words(ShownPictures):
    """What is said about a picture."""

    trigger_word: str = setting(
        "", "Trigger word", "Up to 60 characters. The word that calls what was learnt.", group="pictures", max_length=60
    )
    caption_dropout: float = setting(
        0.0, "Caption dropout", "0 to 0.9. How often a caption is left out; 0.05 is usual.", group="pictures", ge=0, le=0.9
    )
    shuffle_tags: bool = setting(
        False,
        "Shuffle tags",
        "On or off. Reads what stands between commas in another order each time; for tags, not for sentences.",
        group="pictures",
        widget="switch",
    )
    keep_tags: int = setting(
        1,
        "Tags that keep their place",
        "0 to 100. Of shuffled tags the first so many; a trigger word at the start always does.",
        group="pictures",
        ge=0,
        le=100,
    )
    tag_orders: int = setting(
        8,
        "Orders of each caption",
        "2 to 64. Of shuffled tags; each is encoded once. Where captions are encoded each time, any order comes.",
        group="pictures",
        ge=2,
        le=MOST_ORDERS,
    )

    @field_validator("trigger_word")
    @classmethod
    def _one_word(cls, value: str) -> str:
        word = value.strip()
        if any(c.isspace() or c in "\"'“”‘’`,;" for c in word):
            raise ValueError(
                f"Trigger word is “{value}”; it must be one word without spaces, quotes or commas. For example: "
                + ("".join(c for c in word if c.isalnum()) or "zog")
                + "."
            )
        return word


def plan_orders(config: Any) -> TagOrders | None:
    """The orders in which a training reads the tags of its captions; None where it reads them as they are written, and of edit pairs."""
    if not getattr(config, "shuffle_tags", False):
        return None
    return TagOrders(config.keep_tags, config.tag_orders, config.trigger_word)


class HubPictures(Config):
    """Pictures of the hub, or of a folder saved by `datasets`."""

    dataset_name: str | None = setting(None, "Data set of the hub", "owner/name or a folder saved by datasets, or empty.", group="pictures")
    dataset_config_name: str | None = setting(None, "Data set configuration", "A name, or empty.", group="pictures")
    image_column: str = setting("image", "Picture column", "A name. Only for data sets of the hub.", group="pictures", min_length=1)
    caption_column: str = setting("text", "Caption column", "A name. Only for data sets of the hub.", group="pictures", min_length=1)


class CaptionedPictures(PictureLosses, HubPictures, Words):
    """Pictures with captions, from the studio, a folder or the hub."""

    train_data_dir: str | None = setting(
        None,
        "Folder with pictures",
        "A folder with pictures or with WebDataset shards, or empty for the studio's data set.",
        group="pictures",
        widget="path",
    )
    max_train_samples: int | None = setting(
        None, "At most this many pictures", "1 to 100,000,000, or empty for all.", group="pictures", ge=1, le=100_000_000
    )


def wants_pairs(kind: Any) -> bool:
    """Whether a training (its settings, or their class) learns from edit pairs."""
    return issubclass(kind if isinstance(kind, type) else type(kind), EditPairs)


class EditPairs(PictureLosses, ShownPictures):
    """Pairs of a picture before and after, and the instruction between them."""

    train_data_dir: str | None = setting(
        None,
        "Folder with pairs",
        "A folder with metadata.jsonl or with WebDataset shards, or empty for the studio's data set.",
        group="pictures",
        widget="path",
    )
    dataset_name: str | None = setting(None, "Data set of the hub", "owner/name or a folder saved by datasets, or empty.", group="pictures")
    dataset_config_name: str | None = setting(None, "Data set configuration", "A name, or empty.", group="pictures")
    original_image_column: str = setting(
        "original_image", "Column before", "A name. The picture before the edit, in data sets of the hub.", group="pictures", min_length=1
    )
    edit_prompt_column: str = setting(
        "edit_prompt", "Column of instructions", "A name. Only for data sets of the hub.", group="pictures", min_length=1
    )
    edited_image_column: str = setting(
        "edited_image", "Column after", "A name. The picture after the edit, in data sets of the hub.", group="pictures", min_length=1
    )
    max_train_samples: int | None = setting(
        None, "At most this many pairs", "1 to 100,000,000, or empty for all.", group="pictures", ge=1, le=100_000_000
    )
