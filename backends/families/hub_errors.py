"""Why a base model did not load, in plain words, from the exceptions of huggingface_hub, diffusers and the disk."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from diffusers.loaders.single_file_utils import SingleFileComponentError
from huggingface_hub import constants, errors
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from backends.contract.errors import DarkroomError, list_causes
from backends.contract.hub_token import explain_gate, find_token

HTTPError: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of whichever client the hub's library uses
POCKET = "or start from a Pocket model, which came with the studio"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ABSENT_FILE = re.compile(r"(no file named|not appear to have a file named) (?P<name>[\w.-]+)")


@dataclass(frozen=True)
class Wanted:
    """What was to be loaded; `label` is what a person is told it is called, `field` the setting that names it, `on_hub` where it is."""

    label: str
    field: str
    revision: str | None = None
    variant: str | None = None
    cache_dir: str | None = None
    on_hub: bool = True


@contextmanager
def explaining(wanted: Wanted) -> Iterator[None]:
    """Turns what goes wrong inside into a sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, HTTPError, EntryNotFoundError, SafetensorError, SingleFileComponentError) as error:
        raise explain_load_error(error, wanted) from error
    except RuntimeError as error:  # of torch: out of memory is told elsewhere
        if "mismatch" not in str(error):
            raise
        text = (
            f"“{wanted.label}” does not fit together: weights of a part are of other shapes than its config.json says, or that is missing."
        )
        raise DarkroomError(f"{text} Fetch it anew, or choose another.", field=wanted.field) from error


def explain_load_error(error: BaseException, wanted: Wanted) -> DarkroomError:
    """What a person can do about it; the order follows the exceptions' inheritance."""
    chain = list_causes(error)
    for explain in (_explain_disk, _explain_access, _explain_missing, _explain_refusal, _explain_distance, _explain_part):
        text = explain(chain, wanted)
        if text:
            return DarkroomError(text, field=wanted.field)
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return DarkroomError(
        f"“{wanted.label}” could not be loaded: {first}. Check that its files are complete, or choose another.", field=wanted.field
    )


def _explain_disk(chain: list[BaseException], wanted: Wanted) -> str:
    if not any(isinstance(e, OSError) and e.errno in _DISK for e in chain):
        return ""
    folder = wanted.cache_dir or constants.HF_HUB_CACHE
    return (
        f"The disk is full or takes no file so large: “{wanted.label}” could not be fetched whole into {folder}. Free some space there, or "
        "name another place under “Download folder”; what has been fetched is kept."
    )


def _explain_access(chain: list[BaseException], wanted: Wanted) -> str:
    """Gated first: it is a kind of not found."""
    token = find_token()
    if any(isinstance(e, GatedRepoError) for e in chain):
        if not token:
            return explain_gate(wanted.label, wanted.label)
        return (
            f"“{wanted.label}” is gated, and the token in {token} does not open it. Open https://huggingface.co/{wanted.label} with the "
            "account of that token and accept the licence; a fine-grained token must also have the right to read gated models."
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        if not token:
            return (
                f"There is no “{wanted.label}” on the hub, or it is private. Check the spelling; for a private one start the studio with "
                "a token in HF_TOKEN."
            )
        return f"There is no “{wanted.label}” on the hub that the token in {token} may see. Check the spelling, and whose token it is."
    return ""


def _explain_missing(chain: list[BaseException], wanted: Wanted) -> str:
    if any(isinstance(e, RevisionNotFoundError) for e in chain):
        return f"“{wanted.label}” has no revision “{wanted.revision}”. Give a branch, tag or commit of it, or leave Revision empty."
    if wanted.variant and any(_speaks_of_variant(str(e), wanted.variant) for e in chain):
        return (
            f"“{wanted.label}” has no weights of the variant “{wanted.variant}”. Leave Variant empty to load its others; where they are "
            "32-bit, that is twice the download."
        )
    absent = [e for e in chain if isinstance(e, EntryNotFoundError) and not isinstance(e, LocalEntryNotFoundError)]
    if absent:
        return (
            f"“{wanted.label}” is not in the diffusers layout: a file that belongs to it is not there. Where it offers one .safetensors "
            "file, fetch that and give its path; else choose another."
        )
    return ""


def _explain_part(chain: list[BaseException], wanted: Wanted) -> str:
    match = next((found for e in chain if (found := _ABSENT_FILE.search(str(e)))), None)
    if not match:
        return ""
    way = "Look whether the hub can be reached and the token still holds, then start again" if wanted.on_hub else "Fetch the folder anew"
    return f"“{wanted.label}” is on this machine only in part: {match['name']} is missing. {way}, or choose another."


def _speaks_of_variant(text: str, variant: str) -> bool:
    return f"variant={variant}" in text or f".{variant}.safetensors" in text or f"{variant} variant" in text


def _explain_refusal(chain: list[BaseException], wanted: Wanted) -> str:
    """What the hub itself said no to."""
    for error in chain:
        response = getattr(error, "response", None)
        if not isinstance(error, HfHubHTTPError) or response is None:
            continue
        token = find_token()
        if response.status_code in (401, 403) and token:
            return (
                f"The hub did not accept the token in {token} for “{wanted.label}”. It may have ended or lack the right to read: make a "
                "new one at huggingface.co/settings/tokens."
            )
        if response.status_code in (401, 403):
            return f"The hub does not give “{wanted.label}” to everyone. Start the studio with a token of yours in HF_TOKEN."
        if response.status_code == 429:
            return (
                "The hub asks for a pause: too many requests came from this address. Wait some minutes, or set HF_TOKEN; then start again."
            )
        if response.status_code >= 500:
            return f"The hub has a fault of its own (status {response.status_code}). Start again in some minutes to fetch “{wanted.label}”."
    return ""


def _explain_distance(chain: list[BaseException], wanted: Wanted) -> str:
    if any(isinstance(e, HFValidationError) for e in chain):
        return f"“{wanted.label}” cannot be a name of the hub. Give one of the form owner/name, a folder, or a .safetensors file."
    absent = any(isinstance(e, (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)) for e in chain)
    broken = any(isinstance(e, HTTPError) and not isinstance(e, HfHubHTTPError) for e in chain)
    if not absent and not broken and "cached locally" not in str(chain[0]).lower():
        return ""
    if constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE"):
        why = "HF_HUB_OFFLINE forbids to fetch it. Unset it once"
    else:
        why = "the hub cannot be reached. Connect to the internet once to fetch it"
    return f"“{wanted.label}” is not on this machine, and {why}, give a folder that holds it, {POCKET}."
