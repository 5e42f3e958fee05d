"""A report as one HTML file to read, send and print: no script, nothing from outside, its pictures inside as small WebP."""

from __future__ import annotations

import base64
import time
from html import escape
from pathlib import Path

from backends.contract.base_models import find_base_model
from backends.contract.errors import DarkroomError
from studio.datasets.dataset_map import describe_map, map_dataset
from studio.datasets.facts import frame_number
from studio.datasets.report import WHOLE, BucketUse, Finding, Part, Report
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore

_SHOWN, _SHOWN_GROUPS, _SHOWN_CUTS = 8, 4, 40  # pictures of a finding, groups that were kept together, cuts in all
_MAPPED, _WORTH_A_MAP = 100, 4
_THUMBNAIL_PX = 192
STYLE = Path(__file__).resolve().parents[2] / "assets" / "brand" / "report.css"
Rows = dict[str, tuple[int, Picture]]


class _Album:
    """The pictures that the page shows, read once each; one that cannot be read is left out."""

    def __init__(self, store: DatasetStore, report: Report, dataset_id: str) -> None:
        self._store, self._dataset, self._total = store, dataset_id, report.num_pictures
        self.rows: Rows = store.index(dataset_id).numbered(_ids(report))
        self._known: dict[str, str] = {}

    def number(self, row_id: str) -> str:
        """`03`."""
        return frame_number(self.rows[row_id][0], self._total)

    def show(self, row_id: str) -> str:
        """The row as a figure with its number, a pair with both sides; nothing where it is gone."""
        if row_id not in self.rows:
            return ""
        row = self.rows[row_id][1]
        sides = [row.before.id, row.face] if row.before is not None and row.before.file and not row.missing else [row.face]
        pictures = "".join(self.image(side, f"{self.number(row_id)}, {row.name}") for side in sides)
        return f"<figure>{pictures}<figcaption>{self.number(row_id)}</figcaption></figure>" if pictures else ""

    def image(self, image_id: str, words: str) -> str:
        """One `img` with the picture inside."""
        if image_id not in self._known:
            try:
                data = self._store.thumbnail(self._dataset, image_id, _THUMBNAIL_PX).read_bytes()
                self._known[image_id] = "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
            except (DarkroomError, OSError):
                self._known[image_id] = ""
        source = self._known[image_id]
        return f'<img src="{source}" alt="{escape(words)}">' if source else ""


def render_report(store: DatasetStore, dataset_id: str, report: Report, note: str = "") -> str:
    """The page.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        report: On it; pictures that are gone since are left out.
        note: A sentence under the title, such as to which run it belongs.
    """
    info, album = store.info(dataset_id), _Album(store, report, dataset_id)
    known = find_base_model(report.base_model)
    noun = "pairs" if info.kind == "pairs" else "pictures"
    made = time.strftime("%d %B %Y, %H:%M", time.localtime(report.created))
    facts = f"{report.num_pictures:,} {noun}, for {known.name if known else report.base_model} at {report.resolution:,} px. {made}."
    title = f"Report on “{info.name}”"
    body = [
        f"<header><p>Darkroom</p><h1>{escape(title)}</h1><p>{escape(facts)}</p>{f'<p>{escape(note)}</p>' if note else ''}</header>",
        _render_verdict(report),
        _render_findings(report.findings, album),
        "<section><h2>What counts how much</h2>" + "".join(map(_render_part, report.parts)) + "</section>",
        _render_split(report, noun, album),
        _render_map(store, dataset_id, noun, album),
        _render_rest(report),
        _render_buckets(report, noun, album),
        f"<footer>Data {escape(report.fingerprint)}. Numbers are places in the data set.</footer>",
    ]
    style = STYLE.read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{''.join(body)}</main></body></html>"
    )


def _ids(report: Report) -> list[str]:
    lists = [f.picture_ids[:_SHOWN] for f in report.findings]
    lists += [group[:_SHOWN] for group in report.split.together[:_SHOWN_GROUPS]]
    lists += [[c.picture_id for c in b.cuts[: _cuts_of_each(report)]] for b in report.buckets]
    lists.append(report.split.along[:_SHOWN])
    return [i for ids in lists for i in ids]


def _cuts_of_each(report: Report) -> int:
    return max(2, _SHOWN_CUTS // max(1, len(report.buckets)))


def _render_verdict(report: Report) -> str:
    first, *rest = report.sentences
    said = f"<h2>{escape(first)}</h2>" + "".join(f"<p>{escape(s)}</p>" for s in rest)
    score = f'<p class="score"><b>{report.score}<small>%</small></b><span>ready</span></p>'
    return f'<section class="verdict">{score}<div>{said}</div></section>'


def _render_findings(findings: list[Finding], album: _Album) -> str:
    if not findings:
        return ""
    number = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    rows = "".join(_render_finding(place, finding, album) for place, finding in enumerate(findings, 1))
    return f"<section><h2>{number}<small>what helps most comes first</small></h2><ol>{rows}</ol></section>"


def _render_finding(place: int, finding: Finding, album: _Album) -> str:
    worth = f"<span>−{finding.points:.2g} %</span>" if finding.points >= 0.05 else ""
    pictures = "".join(map(album.show, finding.picture_ids[:_SHOWN]))
    more = len(finding.picture_ids) - _SHOWN
    pictures += f"<p>and {more:,} more</p>" if more > 0 and pictures else ""
    strip = f'<div class="strip">{pictures}</div>' if pictures else ""
    return (
        f'<li class="{finding.severity}"><h3><i>{place}</i>{escape(finding.title)}{worth}</h3>'
        f"<p>{escape(finding.rule)} <b>{escape(finding.way_out)}</b></p>{strip}</li>"
    )


def _render_part(part: Part) -> str:
    width = 100 * part.points / part.out_of
    return (
        f'<div class="part"><h3>{escape(part.name)}<span>{part.points:g} of {part.out_of} %</span></h3>'
        f'<div class="bar"><i style="width:{width:.0f}%"></i></div><p>{escape(part.says)}</p></div>'
    )


def _render_split(report: Report, noun: str, album: _Album) -> str:
    split = report.split
    who = f", {split.say_chosen()}" if split.chosen else ""
    words = f"{split.training:,} {noun} teach, {split.held_out:,} are held out to judge{who}."
    if split.leaks:
        words += f" {len(split.leaks):,} of them are learnt from in a near copy."
    elif split.held_out:
        words += " None that judges is learnt from in a near copy."
    strips = ""
    if split.along:
        more = len(split.along) - _SHOWN
        strips = f'<p>Near copies that judge with them:</p><div class="strip">{"".join(map(album.show, split.along[:_SHOWN]))}</div>'
        strips += f"<p>and {more:,} more</p>" if more > 0 else ""
    if split.together:
        count = len(split.together)
        words += f" {count:,} {'group' if count == 1 else 'groups'} of copies {'stands' if count == 1 else 'stand'} on one side as a whole."
        groups = ("".join(map(album.show, group[:_SHOWN])) for group in split.together[:_SHOWN_GROUPS])
        strips += '<div class="groups">' + "".join(f'<div class="strip">{group}</div>' for group in groups if group) + "</div>"
        strips += f"<p>and {count - _SHOWN_GROUPS:,} more</p>" if count > _SHOWN_GROUPS else ""
    return f"<section><h2>Who teaches and who judges</h2><p>{words}</p>{strips}</section>"


def _render_map(store: DatasetStore, dataset_id: str, noun: str, album: _Album) -> str:
    shown = map_dataset(store, dataset_id, _MAPPED)
    if len(shown.places) < _WORTH_A_MAP:
        return ""
    faces = {row_id: row.face for row_id, (_, row) in store.index(dataset_id).numbered(list(shown.places)).items()}
    pictures = "".join(
        f'<i style="left:{100 * x:.2f}%;top:{100 * y:.2f}%;width:{96 * shown.side:.2f}%">{album.image(faces[row_id], "")}</i>'
        for row_id, (x, y) in shown.places.items()
    )
    words = describe_map(shown, noun.removesuffix("s"))
    return f'<section><h2>How varied they are</h2><p>{words}</p><div class="map">{pictures}</div></section>'


def _render_rest(report: Report) -> str:
    told = [("Fine", report.fine), ("Ignored", [f.title for f in report.ignored])]
    lines = "".join(f"<p><b>{name}:</b> {escape(', '.join(what))}.</p>" for name, what in told if what)
    return f"<section>{lines}</section>" if lines else ""


def _render_buckets(report: Report, noun: str, album: _Album) -> str:
    if not report.buckets:
        return ""
    whole, count = sum(b.whole for b in report.buckets), sum(b.count for b in report.buckets)
    said = "all stay whole" if whole == count else f"{whole:,} stay whole, {count - whole:,} lose an edge"
    shown = "".join(_render_bucket(b, noun, _cuts_of_each(report), album) for b in report.buckets)
    return f'<section><h2>How each is cut<small>{said}</small></h2><div class="buckets">{shown}</div></section>'


def _render_bucket(use: BucketUse, noun: str, most: int, album: _Album) -> str:
    cuts = (c for c in use.cuts[:most] if c.picture_id in album.rows)
    pictures = []
    for cut in cuts:
        row = album.rows[cut.picture_id][1]
        right, bottom = cut.scaled_width - use.width - cut.left, cut.scaled_height - use.height - cut.top
        edges = ((cut.top, cut.scaled_height), (right, cut.scaled_width), (bottom, cut.scaled_height), (cut.left, cut.scaled_width))
        inset = " ".join(f"{100 * part / whole:.1f}%" for part, whole in edges)
        frame = f'<i style="inset:{inset}"></i>' if cut.lost >= WHOLE else ""
        pictures.append(f"<figure><span>{album.image(row.face, album.number(cut.picture_id))}{frame}</span></figure>")
    what = f"{use.count:,} {noun if use.count > 1 else noun.removesuffix('s')}"
    return f'<div><h3>{use.width} × {use.height} px<span>{what}</span></h3><div class="strip">{"".join(pictures)}</div></div>'
