"""The report on the data, frozen with a run: of the very pictures, words, base model and split that it trains with."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.datasets.checks import gather_known_facts, judge
from studio.datasets.facts import Facts
from studio.datasets.report_page import render_report
from studio.datasets.store import DatasetStore
from studio.runs.reading import COPIES, EVERY, FACTS, Reading

_log = logging.getLogger(__name__)


def gather_run_facts(datasets: DatasetStore, dataset_id: str, config: Any, reading: Reading) -> Facts:
    """What a check sees of the data with these settings; files that were measured once are not opened again."""
    rows = reading.rows(datasets, dataset_id)
    what = f"Looking at {len(rows):,} {datasets.info(dataset_id).kind}"

    def tell(done: int, total: int) -> None:
        if done % EVERY == 0:
            reading.at(done, what, total, FACTS)

    base, share = str(getattr(config, "pretrained_model_name_or_path", "")), float(getattr(config, "held_out_share", 0.0))
    facts = gather_known_facts(datasets, dataset_id, getattr(config, "resolution", None), base, share, rows, tell)
    return replace(facts, tell=reading.part("Looking for near copies", COPIES))


def freeze_report(datasets: DatasetStore, facts: Facts, run: RunDir, config: Any) -> None:
    """Writes the report into the run's folder. A run does not fail for it: what went wrong stands in the log."""
    try:
        report = judge(datasets, facts, str(getattr(config, "pretrained_model_name_or_path", "")))
        files.write_json(run.report, report.to_json())
        note = f"Frozen with the run “{run.root.name}”: the pictures, words and split that it trains with."
        files.write_text(run.report_page, render_report(datasets, facts.info.id, report, note))
    except (DarkroomError, OSError):
        _log.exception("The report on “%s” could not be kept with its run", facts.info.id)
