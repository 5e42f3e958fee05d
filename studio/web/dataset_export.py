"""A data set as one ZIP: the pictures, the captions beside them as text files, and metadata.jsonl with both."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from studio.web.context import Context


def write_zip(context: Context, dataset_id: str) -> Path:
    """Path of a fresh ZIP in the workspace's temporary folder; whoever serves it removes it."""
    store = context.datasets
    handle, name = tempfile.mkstemp(dir=context.workspace.temporary, prefix="export-", suffix=".zip")
    try:
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            lines = []
            for picture in store.pictures(dataset_id):
                file = PurePosixPath("images") / PurePosixPath(picture.file).name
                archive.write(store.path(dataset_id, picture.id), str(file))
                if picture.text:
                    archive.writestr(str(file.with_suffix(".txt")), picture.text + "\n")
                lines.append(json.dumps({"file_name": str(file), "text": picture.text}, ensure_ascii=False))
            archive.writestr("metadata.jsonl", "".join(line + "\n" for line in lines))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
