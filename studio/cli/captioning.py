"""Commands that write captions and tell how well they fit: caption, score."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backends.contract.captioning import CAPTIONERS, SCORERS, read_wording
from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument, app
from studio.cli.follow_job import follow_job
from studio.cli.output import emit, escape, parse_settings, plain_errors, table
from studio.datasets.caption_job import CaptionJobs
from studio.datasets.caption_notes import DOUBTFUL, read_scores
from studio.datasets.trigger import PLACES
from studio.workers.captioner import DEFAULT_CAPTIONER, Captioner

_WORDING = (
    "search=beam or nucleus, num_beams=1 to 10, top_p, candidates=1 to 5 (to choose from on the Captions page), max_new_tokens=5 to 500, "
    "prefix, suffix, ask (a question of your own for Qwen-VL), threshold (of tags), seed; as name=value. Repeat for more."
)
CaptionerOption = Annotated[
    str, typer.Option(help=f"One of: {', '.join(CAPTIONERS)}; another model of those kinds on the hub (owner/name); or its folder.")
]
ScorerOption = Annotated[str, typer.Option(help=f"One of: {', '.join(SCORERS)}; another BLIP of the hub; or its folder.")]


@app.command("caption")
def caption(
    dataset: DatasetArgument,
    captioner: CaptionerOption = DEFAULT_CAPTIONER,
    trigger_word: Annotated[str, typer.Option(help="Word put into every caption.")] = "",
    place: Annotated[str, typer.Option(help="Where the trigger word stands: subject, start, end or none.")] = "subject",
    setting: Annotated[list[str], typer.Option("--set", "-s", help=_WORDING)] = [],  # noqa: B006
    again: Annotated[bool, typer.Option("--again", help="Also write anew what a captioner wrote. A person's words stay.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes a caption for every picture that has none. Stopped with Ctrl C, the same command goes on with the rest."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        wording = parse_settings(setting)
        read_wording(wording)
        chosen = "remove" if place == "none" else place
        if chosen not in PLACES:
            raise DarkroomError(f"A trigger word has no place “{place}”. There is: subject, start, end, none.", field="place")
        if studio.datasets.info(dataset).kind == "pairs":
            raise DarkroomError(f"These are edit pairs, which have instructions: studio dataset draft-instructions {dataset}.")
        with Captioner(studio.workspace) as worker:
            jobs = CaptionJobs(studio.workspace, worker)
            jobs.start(dataset, captioner=captioner, trigger_word=trigger_word, place=chosen, overwrite_own=again, wording=wording)
            status = follow_job(jobs, dataset, "Captioning", quiet=as_json)
        failed = [{"name": f["name"], "reason": f["reason"]} for f in status["failed"]]
        written = status["done"] - len(failed) - status["silent"] - status["kept"]
        counts = {"silent": status["silent"], "guessed": status["guessed"], "left": status["waiting"]}
        value = {"dataset": dataset, "written": written, "failed": failed, **counts}
        told = f"{written} captions were written."
        told += f" For {status['silent']} pictures the captioner had no words." if status["silent"] else ""
        if status["guessed"]:
            told += f" {status['guessed']} of them are guesses: {captioner} learnt from drawings, and these look like photographs."
        emit(value, told + (f" {len(failed)} pictures failed." if failed else ""), as_json=as_json)


@app.command("score-captions")
def score_captions(
    dataset: DatasetArgument,
    scorer: ScorerOption = DEFAULT_CAPTIONER,
    again: Annotated[bool, typer.Option("--again", help="Score all captions, not only those that changed or have no score.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tells of every caption how well it fits its picture: 0 not at all, 1 fully, below 0.5 doubtful. The worst come first."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        with Captioner(studio.workspace) as worker:
            jobs = CaptionJobs(studio.workspace, worker)
            jobs.score(dataset, scorer=scorer, again=again)
            follow_job(jobs, dataset, "Scoring", quiet=as_json)
        index = studio.datasets.index(dataset)
        scores = read_scores(index)
        found = sorted(((scores[p.id], p) for p in index.rows() if p.id in scores), key=lambda one: one[0].value)
        rows: list[dict[str, Any]] = [{"name": p.name, "score": s.value, "meaning": s.meaning, "text": p.text} for s, p in found]
        doubtful = [r for r in rows if r["score"] < DOUBTFUL]
        value = {"dataset": dataset, "scored": len(rows), "doubtful": len(doubtful), "captions": rows}
        if as_json or not doubtful:
            emit(value, f"{len(rows)} captions have a score; none is below {DOUBTFUL:g}.", as_json=as_json)
        else:
            lines = [[r["name"], f"{r['score']:.2f}", r["meaning"], escape(r["text"][:80])] for r in doubtful]
            emit(value, table(["picture", "score", "", "caption"], lines), as_json=False)
