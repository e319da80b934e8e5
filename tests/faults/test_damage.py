"""Files that were damaged on the disk, each given to the command that reads it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.commands import RUN, Name, case
from tests.faults.harness import Bench, NewBench, at_step
from tests.faults.record import NewRow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

Damage = Callable[[random.Random, bytes], bytes]
# What is damaged, the command that reads it, its setting, the file, and where the folder lies.
READ: dict[str, tuple[Name, str, str, str]] = {
    "checkpoint": ("evaluate", "checkpoint=given", "checkpoints/best.ckpt", "given"),
    "export": ("evaluate", "checkpoint=given", "*.safetensors", "given"),
    "predictions": ("score", "predictions=given/predictions.parquet", "*.parquet", "given"),
    "store": ("train", "data.store=given", "*/*.arrow", "given"),
    "state of a training": ("train", "", "checkpoints/last.ckpt", RUN),
}


def flipped(chance: random.Random, content: bytes) -> bytes:
    """The content with another bit somewhere."""
    changed = bytearray(content)
    changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncated(chance: random.Random, content: bytes) -> bytes:
    """A part of the content, from its beginning on; perhaps nothing."""
    return content[: chance.randrange(len(content))]


@pytest.fixture
def sound(what: str, few_faces: Path, trained: Path, new_bench: NewBench, tmp_path: Path) -> Path:
    """A folder with the sound file."""
    if what in ("checkpoint", "predictions"):
        return trained / RUN
    maker: Name = "train" if what == "state of a training" else "prepare"
    maker = "export" if what == "export" else maker
    bench = Bench(case(maker, few_faces, trained), tmp_path / "made", few_faces)
    place = tmp_path / "made/0"
    if maker == "train":  # killed before its last state was in its place
        steps = bench.steps()
        place = bench.place()
        last = max(number for number, step in enumerate(steps, 1) if step == "replace last.ckpt")
        bench.striking_itself(place, at_step(last))
        return place / RUN
    return place / {"prepare": "store", "export": "out"}[maker]


@pytest.mark.parametrize(
    ("fault", "damage"), [("one bit is another one", flipped), ("file is cut", truncated)]
)
@pytest.mark.parametrize("what", READ)
def test_a_damaged_file(
    what: str,
    fault: str,
    damage: Damage,
    sound: Path,
    new_bench: NewBench,
    new_row: NewRow,
    tries: int,
) -> None:
    name, setting, pattern, lies = READ[what]
    bench = new_bench(name, *([setting] if setting else []), given={lies: sound})
    end = f"refused in one line that names it, or {bench.case.equal}"
    with new_row(f"{fault}: {what}", name, end) as row:
        for _ in range(max(1, tries // 5)):
            place = bench.place()
            file = bench.random.choice(sorted((place / lies).glob(pattern)))
            content = file.read_bytes()
            file.write_bytes(damage(bench.random, content))
            with row.one(f"{place.name}: {file.name}"):
                ended = bench.left_alone(place)
                ended.check(0, 1)
                if ended.code == 0:
                    assert bench.case.left(place) == bench.undisturbed
                else:
                    assert file.name in ended.error, ended.error
                    file.write_bytes(content)
                bench.typed_again(place)
