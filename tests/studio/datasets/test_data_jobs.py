"""Long work on data sets, seen without a page: what is asked, and what is stopped while it is about to ask."""

from __future__ import annotations

import threading

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.data_jobs import DataJobs
from tests.waiting import wait_until


def test_work_that_is_stopped_before_it_asks_waits_for_no_answer(tmp_path):
    go = threading.Event()

    def work(job):
        assert go.wait(60)
        return str(job.ask({"what": "columns"}))

    job = DataJobs(tmp_path).start("import", "Import x", work)
    job.stop()
    go.set()
    assert job.over.wait(60)
    assert (job.state, job.asks, job.sentence) == ("stopped", None, "It was stopped. Nothing of it was kept.")


def test_an_answer_lets_the_work_go_on_and_a_second_one_is_refused(tmp_path):
    job = DataJobs(tmp_path).start("import", "Import x", lambda job: "took " + job.ask({"what": "columns"})["words"])
    wait_until(lambda: job.state == "asks", "the question")
    assert job.describe()["asks"] == {"what": "columns"}
    job.answer({"words": "said"})
    assert job.over.wait(60) and job.sentence == "took said"
    with pytest.raises(DarkroomError, match="not asked any more"):
        job.answer({"words": "said"})
