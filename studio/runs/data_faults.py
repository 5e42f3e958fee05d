"""What is wrong with a data set for a run, before it starts: its kind, its files, its words, its sizes."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Any

from backends.contract.config import Fault
from backends.contract.errors import DarkroomError
from backends.contract.settings.pictures import plan_orders, wants_pairs
from backends.contract.shards import find_shards
from studio.datasets.masks import is_auto
from studio.datasets.pairs import find_pair_faults
from studio.datasets.shared_words import is_tagged
from studio.datasets.store import DatasetInfo, DatasetStore
from studio.datasets.trigger import has_trigger_word
from studio.runs.manifest import describe_broken, find_broken
from studio.runs.reading import Reading
from studio.workspace import Workspace

_MOSTLY = 0.6  # of the captions are tags where tags are shuffled
ENLARGED = 0.9  # below this share of the wanted area a picture counts as too small


def find_kind_fault(kind: Any, info: DatasetInfo) -> Fault | None:
    """Pairs for a training from pictures, or the other way round."""
    if wants_pairs(kind) == (info.kind == "pairs"):
        return None
    if info.kind == "pairs":
        text = "This data set has edit pairs, from which only An edit can be learnt. Choose An edit, or a data set of pictures."
    else:
        text = "An edit is learnt from pairs of before and after; this data set has pictures. Begin one of edit pairs on the Dataset page."
    return Fault(field="dataset", text=text)


def check_data(
    workspace: Workspace, dataset_id: str, config: Any, faults: list[Fault], warnings: list[Fault], reading: Reading | None = None
) -> int:
    """Adds what is wrong with the data set; says how many pictures or pairs it has to learn from: excluded ones are not looked at.

    Of shards it says 0, which only the trainer looks through.

    Args:
        workspace: Where data sets lie.
        dataset_id: The data set to learn from; empty where the settings name a folder with shards.
        config: Checked settings, or None where they are wrong.
        faults: What stops the run; extended.
        warnings: What only wants to be read; extended.
        reading: Keeps the rows, for a run that starts now.
    """
    reading = reading or Reading()
    if not dataset_id:
        _check_shards(config, faults)
        return 0
    try:
        store = DatasetStore(workspace)
        info, pictures = store.info(dataset_id), reading.training(store, dataset_id)
    except DarkroomError as error:
        faults.append(Fault(field="dataset", text=error.text))
        return 0
    what = "pairs" if info.kind == "pairs" else "pictures"
    if not pictures:
        left_out = f"All {info.num_excluded:,} {what} are excluded from training. Include some on the Dataset page."
        text = left_out if info.num_excluded else f"The data set has no {what}. {_wanted(what)}"
        faults.append(Fault(field="dataset", text=text))
        return 0
    if len(pictures) == 1:
        faults.append(Fault(field="dataset", text=f"The data set has 1 {what[:-1]}; a run needs 2 or more, one of them to judge by."))
    _check_judges(pictures, what, faults, warnings)
    broken = find_broken(workspace.dataset(dataset_id), pictures, reading)
    reading.whole = not broken
    if broken:
        faults.append(Fault(field="dataset", text=describe_broken(broken, len(pictures))))
    misfit = find_kind_fault(config, info) if config is not None else None
    if misfit:
        faults.append(misfit)
    elif config is not None and info.kind == "pairs":
        faults += [Fault(field="dataset", text=text) for text in find_pair_faults(pictures)]
    elif config is not None:
        _check_words(config, pictures, faults, warnings)
        _check_tags(config, pictures, warnings)
        _check_masks(config, pictures, warnings)
    if config is not None:
        _check_sizes(config, pictures, what, warnings)
    return len(pictures)


def _check_judges(pictures: list[Any], what: str, faults: list[Fault], warnings: list[Fault]) -> None:
    """Something must be left to learn from where a person chose who judges; near copies of them are looked for at the start."""
    judges, total = sum(p.judges for p in pictures), len(pictures)
    if judges and judges == total:
        text = f"All {total:,} {what} were chosen to judge, and what judges is never learnt from. Let some of them teach"
        faults.append(Fault(field="dataset", text=f"{text} on the Dataset page, under Judges, or add others."))
    elif 2 * judges > total:
        left = f"{total - judges:,} {'is' if total - judges == 1 else 'are'} left to learn from"
        text = f"{judges:,} of {total:,} {what} judge, chosen by you: {left}. Fewer are enough to judge; see Judges on the Dataset page."
        warnings.append(Fault(field="dataset", text=text))


def _check_shards(config: Any, faults: list[Fault]) -> None:
    folder = getattr(config, "train_data_dir", None)
    if config is not None and not find_shards(folder):
        named = f"The folder {folder} has no shards (.tar files)" if folder else "This training reads no shards"
        faults.append(Fault(field="dataset", text=f"{named}. Give a data set, or train on pairs or captioned pictures in shards."))
    if config is not None and not config.max_train_steps:
        text = "How many samples the shards have is only known to the trainer, so passes cannot be turned into steps. Set Steps."
        faults.append(Fault(field="max_train_steps", text=text))


def _wanted(what: str) -> str:
    return "Add 200 or more on the Dataset page." if what == "pairs" else "Add 10 to 50 on the Dataset page."


def _check_words(config: Any, pictures: list[Any], faults: list[Fault], warnings: list[Fault]) -> None:
    word = config.trigger_word
    if getattr(config, "instance_prompt", ""):  # one prompt for all: captions are not read
        if word and not has_trigger_word(config.instance_prompt, word):
            text = f"The trigger word “{word}” is not in the prompt of the subject, “{config.instance_prompt}”: nothing is tied to it."
            faults.append(Fault(field="instance_prompt", text=f"{text} Put it there."))
        return
    empty = [p.name for p in pictures if not p.text.strip()]
    if empty:
        are = "has no caption" if len(empty) == 1 else "have no caption"
        text = f"{count(empty, 'picture')} {are}: {some(empty)}. Write one, or let the captioner do it, on the Captions page."
        faults.append(Fault(field="dataset", text=text))
    without = [p.name for p in pictures if p.text.strip() and word and not has_trigger_word(p.text, word)]
    captioned = len(pictures) - len(empty)
    if without and len(without) == captioned:
        text = f"The trigger word “{word}” stands in no caption, so nothing would be tied to it. Add it to all on the Captions page."
        faults.append(Fault(field="trigger_word", text=text))
    elif without:
        text = f"The trigger word “{word}” is missing from {len(without)} of {captioned} captions: {some(without)}."
        warnings.append(Fault(field="trigger_word", text=f"{text} Add it on the Captions page."))
    if not word:
        text = "There is no trigger word, so the LoRA changes every picture and cannot be called by a word."
        warnings.append(Fault(field="trigger_word", text=f"{text} Set one on the Captions page, for example zog."))


def _check_tags(config: Any, pictures: list[Any], warnings: list[Fault]) -> None:
    """Shuffled tags that are none: captions in sentences, or too few tags behind those that keep their place."""
    orders = plan_orders(config)
    if orders is None:
        return
    prompt = getattr(config, "instance_prompt", "")
    texts = [prompt] if prompt else [p.text for p in pictures if p.text.strip()]
    moving, tagged = sum(orders.count(text) > 1 for text in texts), sum(map(is_tagged, texts))
    what = f"the prompt of the subject, “{prompt}”," if prompt else f"of {count(texts, 'caption')} none"
    text = ""
    if not moving:
        text = f"Shuffle tags is on, and {what} has two tags or more behind the first {config.keep_tags}: nothing is shuffled."
        text = f"{text} Put commas between tags, lower Tags that keep their place, or turn it off."
    elif tagged < _MOSTLY * len(texts):
        text = f"Shuffle tags is on, and {len(texts) - tagged:,} of {count(texts, 'caption')} are sentences rather than tags: their "
        text += "parts would be read in any order. See it under Preview on the Captions page, or turn it off."
    elif config.family == "flux":
        text = "Shuffle tags is on, and Flux was taught with whole sentences. Sentences work better for it: write them, and turn it off."
    if text:
        warnings.append(Fault(field="shuffle_tags", text=text))


def _check_masks(config: Any, pictures: list[Any], warnings: list[Fault]) -> None:
    masked, wanted = sum(bool(p.mask) for p in pictures), getattr(config, "masked_loss", None)
    if wanted and not masked:
        text = "Learn inside the masks is on, and no picture has a mask: all is learnt. Paint some on the Dataset page, or turn it off."
        warnings.append(Fault(field="masked_loss", text=text))
    elif wanted is False and masked:
        text = f"{masked:,} of {len(pictures):,} pictures {'has a mask' if masked == 1 else 'have masks'}, which this run does not use."
        warnings.append(Fault(field="masked_loss", text=f"{text} Turn Learn inside the masks on to use them."))
    elif wanted is None and masked:
        text = f"{masked:,} of {len(pictures):,} pictures {'has a mask' if masked == 1 else 'have masks'}, of which ai-toolkit is not told"
        text += ": all of each picture is learnt. To learn inside the masks, choose a recipe that Darkroom trains itself."
        warnings.append(Fault(field="dataset", text=text))
    unseen = [p.name for p in pictures if p.mask and is_auto(p.mask)]
    if wanted and unseen:
        text = f"{count(unseen, 'mask')} made without a hand, at which nobody has looked: {some(unseen)}."
        warnings.append(Fault(field="masked_loss", text=f"{text} Look through Automatic masks on the Dataset page."))


def _check_sizes(config: Any, pictures: list[Any], what: str, warnings: list[Fault]) -> None:
    small = [p.name for p in pictures if p.width * p.height < config.resolution**2 * ENLARGED]
    if small:
        text = f"{len(small)} of {len(pictures)} {what} are smaller than {config.resolution} px square and will be enlarged: {some(small)}."
        warnings.append(Fault(field="resolution", text=f"{text} Use larger ones, or lower the resolution."))


def check_folders(config: Any, faults: list[Fault]) -> None:
    """Folders and files that the settings name must be there."""
    for name in ("train_data_dir", "instance_data_dir", "class_data_dir"):
        folder = getattr(config, name, None)
        # a folder for class pictures is made where it lacks; its parent must be there
        place = Path(folder).expanduser() if folder else None
        if place and not (place.parent if name == "class_data_dir" else place).is_dir():
            faults.append(Fault(field=name, text=f"The folder {folder} does not exist. Give one that does, or leave it empty."))
        elif place and place.exists() and not place.is_dir():
            faults.append(Fault(field=name, text=f"{folder} is a file, and a folder of pictures is needed. Give one, or leave it empty."))
    picture = getattr(config, "val_image", None)
    if picture and not Path(picture).expanduser().is_file():
        faults.append(Fault(field="val_image", text=f"The picture {picture} does not exist. Give one that does, or leave it empty."))


def count(names: Sized, what: str) -> str:
    """“1 picture”, “3 pictures”."""
    return f"{len(names):,} {what}{'' if len(names) == 1 else 's'}"


def some(names: list[str]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
