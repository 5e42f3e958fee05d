"""Why the hub did not give or take a data set, in plain words with the way out. The token itself is never in them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, errors
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from backends.contract.errors import DarkroomError, list_causes
from backends.contract.hub_token import explain_gate, find_token

HTTPError: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of whichever client the hub's library uses
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explaining(repo: str, revision: str = "", *, write: bool = False) -> Iterator[None]:
    """Turns what goes wrong with the hub inside into a sentence.

    Raises:
        DarkroomError: Instead of the hub's, the connection's and the disk's errors.
    """
    try:
        yield
    except (HfHubHTTPError, HFValidationError, HTTPError, EntryNotFoundError, OSError, RuntimeError) as error:
        chain = list_causes(error)
        text = _explain_disk(chain, repo) or _explain_access(chain, repo, revision, write=write) or _explain_distance(chain, repo)
        if not text:
            if not isinstance(error, (HfHubHTTPError, HTTPError, OSError)):
                raise
            first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            text = f"The hub could not be used for “{repo}”: {first}. Try again in some minutes."
        raise DarkroomError(text) from error


def read_token() -> str | None:
    """The token of a private file. None where there is none, or where it stands in HF_TOKEN, which the hub's library reads itself.

    The library learns where the file lies when it is imported, which may be before a workspace is opened.
    """
    where = find_token()
    return None if where in ("", "HF_TOKEN") else Path(where).read_text("utf-8").strip()


def require_token(repo: str) -> None:
    """Refuses before anything is written or sent.

    Raises:
        DarkroomError: When there is no token.
    """
    if not find_token():
        raise DarkroomError(
            f"To push to “{repo}” the hub wants to know who you are, and there is no token. Make one with the right to write at "
            "huggingface.co/settings/tokens and start the studio with it in HF_TOKEN, or put it into the file hf_token of the workspace, "
            "which only you may read."
        )


def _explain_disk(chain: list[BaseException], repo: str) -> str:
    if any(isinstance(e, OSError) and e.errno in _FULL for e in chain):
        return f"The disk of the workspace is full; “{repo}” goes through it part by part. Free some space, then do it again."
    return ""


def _explain_access(chain: list[BaseException], repo: str, revision: str, *, write: bool) -> str:
    """Gated first: it is a kind of not found."""
    token = find_token()
    if any(isinstance(e, GatedRepoError) for e in chain):
        if not token:
            return explain_gate(repo, f"datasets/{repo}")
        return (
            f"“{repo}” is gated, and the token in {token} does not open it. Open https://huggingface.co/datasets/{repo} with the account "
            "of that token and accept what its owners ask; a fine-grained token must also have the right to read gated repositories."
        )
    if any(isinstance(e, LocalTokenNotFoundError) for e in chain):
        return f"The hub wants a token for “{repo}”. Start the studio with one in HF_TOKEN."
    refused = next((e.response.status_code for e in chain if isinstance(e, HfHubHTTPError) and getattr(e, "response", None) is not None), 0)
    if write and token and refused in (401, 403):
        return (
            f"The hub did not let the token in {token} write to “{repo}”. It may have ended, lack the right to write, or belong to another "
            "account: make a new one at huggingface.co/settings/tokens, or give a name of your own."
        )
    if any(isinstance(e, RevisionNotFoundError) for e in chain):
        return f"“{repo}” has no revision “{revision}”. Give a branch, tag or commit of it, or leave the revision empty."
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        if token:
            return f"There is no data set “{repo}” on the hub that the token in {token} may see. Check the spelling, and whose token it is."
        return (
            f"There is no data set “{repo}” on the hub, or it is private. Check the spelling; for a private one start the studio with a "
            "token in HF_TOKEN."
        )
    return _explain_status(refused, repo, token)


def _explain_status(status: int, repo: str, token: str) -> str:
    if status in (401, 403) and token:
        return (
            f"The hub did not accept the token in {token} for “{repo}”. It may have ended or lack the right to read: make a new one at "
            "huggingface.co/settings/tokens."
        )
    if status in (401, 403):
        return f"The hub does not give “{repo}” to everyone. Start the studio with a token of yours in HF_TOKEN."
    if status == 429:
        return "The hub asks for a pause: too many requests came from this address. Wait some minutes, or set HF_TOKEN; then do it again."
    if status >= 500:
        return f"The hub has a fault of its own (status {status}). Try “{repo}” again in some minutes."
    return ""


def _explain_distance(chain: list[BaseException], repo: str) -> str:
    if any(isinstance(e, HFValidationError) for e in chain):
        return f"“{repo}” cannot be a name of the hub. Give one of the form owner/name."
    if constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE") or any(isinstance(e, OfflineModeIsEnabled) for e in chain):
        return f"“{repo}” is on the hub, and HF_HUB_OFFLINE forbids to go there. Unset it, then do it again."
    broken = any(isinstance(e, HTTPError) and not isinstance(e, HfHubHTTPError) for e in chain)
    if broken or any(isinstance(e, (LocalEntryNotFoundError, ConnectionError)) for e in chain):
        return f"The hub cannot be reached for “{repo}”. Connect to the internet, then do it again; what came in stays."
    return ""
