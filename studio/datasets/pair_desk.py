"""Pictures that come one by one are laid beside their partners: on the rows of a data set of edit pairs, while they are changed."""

from __future__ import annotations

import dataclasses
import secrets

from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import with_words_of_file
from studio.datasets.changes import Changes
from studio.datasets.names import free_name
from studio.datasets.pair_names import Spot, read_spot, same_file
from studio.datasets.rows import SIDES, ImageFile, Picture, Side, make_pair, whole_id, with_sides

MAX_PAIRS = 100_000
NO_SIDE = (
    "Its name does not say whether it is the picture before or after. Put it into a folder input_images or output_images, or end its "
    "name in _before or _after, then add it again."
)


class Desk:
    """The rows of one data set, looked up by what they wait for, while they are changed.

    Args:
        rows: The change under way; rows are filled and added in it. `close` says which.
    """

    def __init__(self, rows: Changes) -> None:
        self.rows = rows
        self._touched: dict[str, None] = {}
        self._count = len(rows)

    def close(self) -> list[Picture]:
        """The rows that were filled, made or given words, as they are now; not those that became part of another."""
        return [row for row in map(self.rows.get, self._touched) if row is not None]

    def put(self, image: ImageFile) -> Picture:
        """Lays a picture where a list awaits it, else beside its partner, else by itself, where it waits for one.

        Raises:
            DarkroomError: When it is here already, its partner has another size, or nothing says which side it is.
        """
        awaited = [
            (row, side) for row in self.rows.with_file(image.name, awaited=True) for side in SIDES if _expects(row, side, image.name)
        ]
        if awaited:
            return self._put_where_awaited(image, awaited)
        self._refuse_second(image)
        spot = read_spot(image.name)
        partner = self._find_partner(spot)
        if partner is not None:
            return self._fill(partner, _free_side(partner), image)
        if spot.side is None:
            raise DarkroomError(NO_SIDE)
        return self._set(self.add(spot.label), spot.side, image)

    def put_at(self, row_id: str, side: Side, image: ImageFile) -> Picture:
        """Lays a picture on the free side of one pair, because a person said so."""
        row = self.rows.get(row_id)
        if row is None:
            raise DarkroomError("There is no such pair in this data set. It may have been removed.")
        if sides_of(row)[side].file:
            raise DarkroomError(f"“{row.name}” has its picture {side} already. Remove the pair, or swap its sides first.")
        return self._fill(row, side, image)

    def join(self, one: Picture, other: Picture) -> Picture:
        """Makes one pair of two halves, each of which has what the other lacks; the second one's row goes."""
        side = _free_side(one)
        joined = self._fill(one, side, sides_of(other)[side])
        if not joined.text and other.text:
            joined = dataclasses.replace(joined, text=other.text, text_by=other.text_by, version=joined.version + 1)
            self.rows.put(joined)
        if other.judges:
            self.let_judge(joined.id)
        self.rows.remove([other.id])
        self._count -= 1
        return self.rows.get(joined.id) or joined

    def expect(self, row: Picture, side: Side, image: ImageFile) -> Picture:
        """Lets a free side wait for a file of this name, or lays the picture on it where the file is there."""
        if sides_of(row)[side].file:
            return row
        row = self._set(row, side, ImageFile(name=image.name))
        return self._fill(row, side, image) if image.file else row

    def give(self, row: Picture, text: str) -> bool:
        """Writes words that came in a file into a row; True where a person's own words stay."""
        changed, kept = with_words_of_file(row, text)
        if changed is not row:
            self.rows.put(changed)
        self._touched[row.id] = None
        return kept

    def let_judge(self, row_id: str) -> None:
        """Marks a pair as one that judges, because a list says so."""
        row = self.rows.get(row_id)
        if row is not None and not row.judges:
            self.rows.put(dataclasses.replace(row, judges=True))

    def add(self, name: str) -> Picture:
        """A new row at the end, with neither picture yet."""
        if self._count >= MAX_PAIRS:
            raise DarkroomError(f"This data set has {MAX_PAIRS:,} pairs, which are the most. Begin another data set.")
        row = make_pair(secrets.token_hex(12), free_name(name, self.rows), ImageFile(), ImageFile())
        self.rows.add(row)
        self._count += 1
        return row

    def _put_where_awaited(self, image: ImageFile, places: list[tuple[Picture, Side]]) -> Picture:
        first, refusal = None, None
        for row, side in places:
            try:
                filled = self._fill(self.rows.get(row.id) or row, side, image)
                first = first or filled
            except DarkroomError as error:
                refusal = refusal or error
        if first is None:
            raise refusal or DarkroomError(NO_SIDE)
        return first

    def _find_partner(self, spot: Spot) -> Picture | None:
        halves = []
        for number, row in enumerate(self.rows.with_words_key(spot.key)):
            if row.missing in SIDES:
                other = read_spot(row.images[0].name)
                if other.belongs_with(spot) and other.side != spot.side:
                    halves.append(((not is_unclaimed(row), other.above != spot.above, number), row))
        return min(halves, key=lambda half: half[0])[1] if halves else None

    def _refuse_second(self, image: ImageFile) -> None:
        spot = read_spot(image.name)
        for row in self.rows.with_image(image.id):
            for own in row.images:
                place = read_spot(own.name)
                if whole_id(own.id) == image.id and (
                    same_file(own.name, image.name) or (place.belongs_with(spot) and place.side == spot.side)
                ):
                    raise DarkroomError(f"It is already here as “{own.name}”. The same pair twice would count double.")

    def _fill(self, row: Picture, side: Side, image: ImageFile) -> Picture:
        other = sides_of(row)["after" if side == "before" else "before"]
        if other.file and (other.width, other.height) != (image.width, image.height):
            raise DarkroomError(
                f"It is {image.width:,} x {image.height:,} px, its partner “{other.name}” {other.width:,} x {other.height:,} px; the two "
                "pictures of a pair must have one size. Scale or cut one of them, then add it again."
            )
        known = self.rows.with_content(_with_side(row, side, image).content) if other.file else None
        if known is not None and known.id != row.id:
            raise DarkroomError(f"These two pictures are already here as “{known.name}”. The same pair twice would count double.")
        return self._set(row, side, image)

    def _set(self, row: Picture, side: Side, image: ImageFile) -> Picture:
        changed = _with_side(row, side, image)
        self.rows.put(changed)
        self._touched[row.id] = None
        return changed


def sides_of(row: Picture) -> dict[Side, ImageFile]:
    """Both sides of a row; one that is awaited has no file."""
    return {"before": row.before or ImageFile(), "after": row.after or ImageFile()}


def is_unclaimed(row: Picture) -> bool:
    """A half that waits for any partner, not for one that a list names."""
    return row.missing in SIDES and not any(not image.file and image.name for image in sides_of(row).values())


def _with_side(row: Picture, side: Side, image: ImageFile) -> Picture:
    sides = sides_of(row) | {side: image}
    return with_sides(row, sides["before"], sides["after"])


def _expects(row: Picture, side: Side, name: str) -> bool:
    image = sides_of(row)[side]
    said = read_spot(name).side if "/" in name and "/" not in image.name else None
    return not image.file and bool(image.name) and same_file(name, image.name) and said in (None, side)


def _free_side(row: Picture) -> Side:
    return "before" if row.missing == "before" else "after"
