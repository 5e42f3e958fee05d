"""Pictures that come one by one are laid beside their partners: on the rows of a data set of edit pairs, while they are changed."""

from __future__ import annotations

import dataclasses
import secrets
from collections import defaultdict

from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import with_words_of_file
from studio.datasets.names import fold_name, free_name
from studio.datasets.pair_names import Spot, file_key, read_spot, same_file
from studio.datasets.rows import SIDES, ImageFile, Picture, Side, make_pair, with_sides

MAX_PAIRS = 100_000
NO_SIDE = (
    "Its name does not say whether it is the picture before or after. Put it into a folder input_images or output_images, or end its "
    "name in _before or _after, then add it again."
)


class Desk:
    """The rows of one data set, looked up by what they wait for. Made anew for each change.

    Args:
        rows: The list that is being changed; rows are filled in place and added at its end. Call `close` when all is laid.
    """

    def __init__(self, rows: list[Picture]) -> None:
        self.rows = rows
        self._taken = {fold_name(row.name) for row in rows}
        self._by_image: dict[str, set[int]] = defaultdict(set)
        self._awaited: dict[str, dict[tuple[int, Side], None]] = defaultdict(dict)
        self._open: dict[str, list[tuple[int, Spot]]] = defaultdict(list)
        self._contents: dict[tuple[str, str], int] = {}
        self._gone: set[int] = set()
        self._touched: list[int] = []
        for at in range(len(rows)):
            self._note(at)

    def close(self) -> list[Picture]:
        """Takes out rows that became part of another; the rows that were filled, made or given words."""
        touched = [self.rows[at] for at in dict.fromkeys(self._touched) if at not in self._gone]
        self.rows[:] = [row for at, row in enumerate(self.rows) if at not in self._gone]
        return touched

    def put(self, image: ImageFile) -> Picture:
        """Lays a picture where a list awaits it, else beside its partner, else by itself, where it waits for one.

        Raises:
            DarkroomError: When it is here already, its partner has another size, or nothing says which side it is.
        """
        awaited = [place for place in self._awaited.get(file_key(image.name), {}) if self._expects(*place, image.name)]
        if awaited:
            return self._put_where_awaited(image, awaited)
        self._refuse_second(image)
        spot = read_spot(image.name)
        partner = self._find_partner(spot)
        if partner is not None:
            self._fill(partner, _free_side(self.rows[partner]), image)
            return self.rows[partner]
        if spot.side is None:
            raise DarkroomError(NO_SIDE)
        at = self.add(spot.label)
        self._set(at, spot.side, image)
        return self.rows[at]

    def put_at(self, row_id: str, side: Side, image: ImageFile) -> Picture:
        """Lays a picture on the free side of one pair, because a person said so."""
        at = next((n for n, row in enumerate(self.rows) if row.id == row_id), None)
        if at is None:
            raise DarkroomError("There is no such pair in this data set. It may have been removed.")
        if self.sides(at)[side].file:
            raise DarkroomError(f"“{self.rows[at].name}” has its picture {side} already. Remove the pair, or swap its sides first.")
        self._fill(at, side, image)
        return self.rows[at]

    def join(self, first: int, second: int) -> None:
        """Makes one pair of two halves, each of which has what the other lacks; the second one's row goes."""
        one, other = self.rows[first], self.rows[second]
        side = _free_side(one)
        self._fill(first, side, self.sides(second)[side])
        if not one.text and other.text:
            self.rows[first] = dataclasses.replace(self.rows[first], text=other.text, text_by=other.text_by, version=one.version + 1)
        self._gone.add(second)

    def expect(self, at: int, side: Side, image: ImageFile) -> None:
        """Lets a free side wait for a file of this name, or lays the picture on it where the file is there."""
        if self.sides(at)[side].file:
            return
        self._set(at, side, ImageFile(name=image.name))
        if image.file:
            self._fill(at, side, image)

    def give(self, at: int, text: str) -> bool:
        """Writes words that came in a file into a row; True where a person's own words stay."""
        self.rows[at], kept = with_words_of_file(self.rows[at], text)
        self._touched.append(at)
        return kept

    def is_unclaimed(self, at: int) -> bool:
        """A half that waits for any partner, not for one that a list names."""
        waits = any(not image.file and image.name for image in self.sides(at).values())
        return at not in self._gone and self.rows[at].missing in SIDES and not waits

    def sides(self, at: int) -> dict[Side, ImageFile]:
        """Both sides of a row; one that is awaited has no file."""
        row = self.rows[at]
        return {"before": row.before or ImageFile(), "after": row.after or ImageFile()}

    def add(self, name: str) -> int:
        """A new row at the end, with neither picture yet; its place."""
        if len(self.rows) - len(self._gone) >= MAX_PAIRS:
            raise DarkroomError(f"This data set has {MAX_PAIRS:,} pairs, which are the most. Begin another data set.")
        row = make_pair(secrets.token_hex(12), free_name(name, self._taken), ImageFile(), ImageFile())
        self.rows.append(row)
        self._taken.add(fold_name(row.name))
        return len(self.rows) - 1

    def _expects(self, at: int, side: Side, name: str) -> bool:
        if at in self._gone:
            return False
        image = self.sides(at)[side]
        said = read_spot(name).side if "/" in name and "/" not in image.name else None
        return not image.file and same_file(name, image.name) and said in (None, side)

    def _put_where_awaited(self, image: ImageFile, places: list[tuple[int, Side]]) -> Picture:
        first, refusal = None, None
        for at, side in places:
            try:
                self._fill(at, side, image)
                first = at if first is None else first
            except DarkroomError as error:
                refusal = refusal or error
        if first is None:
            raise refusal or DarkroomError(NO_SIDE)
        return self.rows[first]

    def _find_partner(self, spot: Spot) -> int | None:
        halves = [
            (not self.is_unclaimed(at), other.above != spot.above, at)
            for at, other in self._open.get(spot.key, [])
            if at not in self._gone and self.rows[at].missing in SIDES and other.belongs_with(spot) and other.side != spot.side
        ]
        return min(halves)[2] if halves else None

    def _refuse_second(self, image: ImageFile) -> None:
        spot = read_spot(image.name)
        for at in self._by_image.get(image.id, ()):
            for own in self.rows[at].images:
                place = read_spot(own.name)
                if own.id == image.id and (same_file(own.name, image.name) or (place.belongs_with(spot) and place.side == spot.side)):
                    raise DarkroomError(f"It is already here as “{own.name}”. The same pair twice would count double.")

    def _fill(self, at: int, side: Side, image: ImageFile) -> None:
        other = self.sides(at)["after" if side == "before" else "before"]
        if other.file and (other.width, other.height) != (image.width, image.height):
            raise DarkroomError(
                f"It is {image.width:,} x {image.height:,} px, its partner “{other.name}” {other.width:,} x {other.height:,} px; the two "
                "pictures of a pair must have one size. Scale or cut one of them, then add it again."
            )
        pair = (image.id, other.id) if side == "before" else (other.id, image.id)
        if other.file and self._contents.get(pair, at) != at:
            known = self.rows[self._contents[pair]]
            raise DarkroomError(f"These two pictures are already here as “{known.name}”. The same pair twice would count double.")
        self._set(at, side, image)

    def _set(self, at: int, side: Side, image: ImageFile) -> None:
        sides = self.sides(at) | {side: image}
        self.rows[at] = with_sides(self.rows[at], sides["before"], sides["after"])
        self._note(at)
        self._touched.append(at)

    def _note(self, at: int) -> None:
        row = self.rows[at]
        for image in row.images:
            self._by_image[image.id].add(at)
        if not row.missing and row.before and row.after:
            self._contents.setdefault((row.before.id, row.after.id), at)
            return
        for side, image in self.sides(at).items():
            if not image.file and image.name:
                self._awaited[file_key(image.name)][at, side] = None
            elif image.file:
                spot = read_spot(image.name)
                self._open[spot.key].append((at, spot))


def _free_side(row: Picture) -> Side:
    return "before" if row.missing == "before" else "after"
