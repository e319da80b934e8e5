"""EMOTIC as one annotation table."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, first_file, list_files, no_release
from cage_lightning.data.readers.emotic.sources import RELEASES, Person
from cage_lightning.errors import DataError, check_choice
from cage_lightning.labels import EMOTIC

SPLITS = ("train", "val", "test")
LARGEST = 1 << 24  # Whole pixels are exact in float32 up to here.
MISSPELLINGS = {"Doubt/Confuzion": "Doubt/Confusion", "Disquitement": "Disquietment"}

_COLUMN = {name: k for k, name in enumerate(EMOTIC.categories)}
_COLUMN |= {wrong: _COLUMN[right] for wrong, right in MISSPELLINGS.items()}

logger = logging.getLogger(__name__)


def read_emotic(
    root: Path,
    split: str,
    release: str = "auto",
    on_error: OnError = "raise",
    drop_invalid: bool = True,
) -> Annotations:
    """Read one split of EMOTIC.

    Boxes are clamped to the picture and cut to whole pixels. A person is left out, and counted in
    ``left_out``, whose box is then empty, who has no category (a row without any would mean that
    none of the 26 applies), or, by `drop_invalid`, whose affect is unknown. That is the rule by
    which the published converter keeps the persons of Table 3 (`datacard.PUBLISHED_SAMPLES`) of the
    full release, but for one point: it would keep a train person with an empty list of categories.

    Args:
        root: Folder that holds the release; the pictures lie in ``emotic/{folder}/`` or
            ``{folder}/`` below.
        split: ``train``, ``val`` or ``test``.
        release: A name in `RELEASES`; ``auto`` takes the first one found, so that the annotation
            file of the release itself comes before the CSV files derived from it.
        on_error: ``raise``; ``skip`` to leave out persons without a picture and count them; or
            ``keep`` to return them as they are, where their pictures are checked later or
            not needed.
        drop_invalid: Leave out persons who lack valence, arousal or dominance, and those for whom
            the release lists no annotator, as the converter does. If not, they stay, with NaN where
            a value is unknown. The CSV has lost them in any case.

    Returns:
        The table in the order of the release, the same from both sources. Ids are
        ``{folder}/{filename}#{left},{top},{right},{bottom}``, so they do not depend on who else is
        kept; a second person with the same box gets a further ``#2``. ``extra`` holds ``gender``
        and ``age``. ``root`` is the folder that the pictures' folders lie in.

    Raises:
        ConfigError: `split`, `release` or `on_error` is not one of the above.
        DataError: No release is there; an annotation is unreadable, incomplete or out of range; a
            picture is missing or outside `root`; no person is left.
    """
    check_choice("split", split, SPLITS)
    check_choice("release", release, ("auto", *RELEASES))
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    source, read = _find(root, split, release)
    persons = list(read(source, split))
    boxes = np.array([_inside(person) for person in persons], np.float32).reshape(-1, 4)
    category = np.stack([_multi_hot(p) for p in persons]) if persons else np.zeros((0, 26))
    native = np.array([_checked_affect(p) for p in persons]).reshape(-1, len(EMOTIC.dimensions))
    annotated = np.array([person.annotated for person in persons], dtype=bool)

    reason = np.full(len(persons), "", dtype=object)
    reason[(boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])] = "box outside the picture"
    reason[category.sum(axis=1) == 0] = "no category"
    if drop_invalid:
        reason[(reason == "") & ~annotated] = "no annotator"
        reason[(reason == "") & np.isnan(native).any(axis=1)] = "no valence, arousal or dominance"

    pictures = root / "emotic" if (root / "emotic").is_dir() else root
    paths = [_path(person) for person in persons]
    present = list_files(pictures, paths, lambda row: persons[row].where, links=on_error == "keep")
    absent = np.array([path not in present for path in paths], dtype=bool) & (reason == "")
    if absent.any() and on_error == "raise":
        first = ", ".join(paths[i] for i in np.flatnonzero(absent)[:3])
        raise DataError(
            f"The pictures of {int(absent.sum())} of {len(absent)} persons in {source} are missing "
            f"under {pictures}, first {first}. Restore them, or leave these persons out with "
            "data.on_error=skip."
        )
    if on_error == "skip":
        reason[absent] = "missing picture"

    left_out = Counter(reason[reason != ""].tolist())
    take = np.flatnonzero(reason == "")
    if not take.size:
        raise DataError(f"{source}: no person is left in {split}; left out: {dict(left_out)}")
    kept = [persons[i] for i in take]
    return Annotations(
        space=EMOTIC,
        root=pictures,
        id=_ids(kept, boxes[take]),
        path=np.array(paths)[take],
        category=category[take].astype(np.float32),
        affect=EMOTIC.to_unit(native[take]).astype(np.float32),
        left_out=dict(sorted(left_out.items())),
        box=boxes[take],
        extra={
            "gender": np.array([person.gender for person in kept]),
            "age": np.array([person.age for person in kept]),
        },
        origin=source.relative_to(root).as_posix(),
    )


def _find(
    root: Path, split: str, release: str
) -> tuple[Path, Callable[[Path, str], Iterator[Person]]]:
    """The file with the annotations and what reads it."""
    tried = RELEASES if release == "auto" else {release: RELEASES[release]}
    for name, candidate in tried.items():
        path = first_file(root, [place.format(split=split) for place in candidate.places])
        if path is not None:
            logger.info("EMOTIC %s: reading release %s at %s", split, name, path)
            return path, candidate.read
    raise no_release("EMOTIC", split, root, {n: r.layout for n, r in tried.items()})


def _path(person: Person) -> str:
    return f"{person.folder}/{person.filename}"


def _inside(person: Person) -> list[int]:
    """The box clamped to the picture, in whole pixels."""
    is_size = all(0 < pixels <= LARGEST for pixels in person.size)
    if not (np.isfinite(person.box).all() and len(person.box) == 4 and is_size):
        raise DataError(
            f"{person.where}: the body box is {person.box} in a picture of {person.size} pixels, "
            "expected left, top, right, bottom in pixels"
        )
    width, height = person.size
    limits = (width, height, width, height)
    return [int(min(max(edge, 0), limit)) for edge, limit in zip(person.box, limits, strict=True)]


def _multi_hot(person: Person) -> npt.NDArray[np.float32]:
    row = np.zeros(len(EMOTIC.categories), np.float32)
    for name in person.categories:
        if name.strip() not in _COLUMN:
            raise DataError(
                f"{person.where}: {name!r} is no category of EMOTIC: "
                f"expected some of {', '.join(EMOTIC.categories)}"
            )
        row[_COLUMN[name.strip()]] = 1
    return row


def _checked_affect(person: Person) -> list[float]:
    low, high = EMOTIC.native_range
    dimensions = EMOTIC.dimensions
    if len(person.affect) != len(dimensions) or any(x < low or x > high for x in person.affect):
        raise DataError(
            f"{person.where}: {', '.join(dimensions)} are {person.affect}, "
            f"expected {len(dimensions)} values from {low:g} to {high:g}, or NaN"
        )
    return person.affect


def _ids(persons: list[Person], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.str_]:
    ids: list[str] = []
    seen: Counter[str] = Counter()
    for person, box in zip(persons, boxes.astype(int).tolist(), strict=True):
        name = f"{_path(person)}#{','.join(map(str, box))}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return np.array(ids)
