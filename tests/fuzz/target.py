"""What is fuzzed: a folder of sound files, how each of them is changed, and what reads them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cage_lightning.errors import CageError
from tests.fuzz.mutations import Mutation

Files = Mapping[str, bytes]
"""Path below a folder -> content."""

LONGEST = 4000
"""Characters of a message; one that repeats a cell of a table without bound has more."""


@dataclass(frozen=True)
class Target:
    """A reader and what it is given.

    Attributes:
        name: Of the reader.
        sound: Writes sound files into a folder.
        read: Reads the folder, as the commands do.
        mutations: How a file is changed, by its path; the others stay sound.
        repaired: Makes a checksum in some files that of the changed ones, which otherwise would
            be refused before anything else is looked at.
        renamed: Whether paths are changed instead of contents.
        leaves: Folders that the reader makes of the files; they are deleted after each input.
    """

    name: str
    sound: Callable[[Path], object]
    read: Callable[[Path], object]
    mutations: Mapping[str, Mutation]
    repaired: Callable[[Files], Files] = field(default=lambda files: {})
    renamed: bool = False
    leaves: tuple[str, ...] = ()

    def files(self, folder: Path) -> Files:
        """The sound files, written into an empty folder."""
        self.sound(folder)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@dataclass(frozen=True)
class Bench:
    """A target in a folder that holds its sound files between the inputs."""

    target: Target
    folder: Path

    @cached_property
    def sound(self) -> Files:
        """The sound files."""
        return self.target.files(self.folder)

    def drawn(self, number: int, seed: int) -> Files:
        """The changed files of an input; the same ones for the same numbers."""
        rng = random.Random(f"{self.target.name} {seed} {number}")
        changeable = list(self.target.mutations)
        chosen = {rng.choice(changeable) for _ in range(rng.choice((1, 1, 1, 2)))}
        if self.target.renamed:
            return {_renamed(rng, self.target, path): self.sound[path] for path in chosen}
        changed = {path: self.target.mutations[path](rng, self.sound[path]) for path in chosen}
        if rng.random() < 0.9:
            changed = {**changed, **self.target.repaired({**self.sound, **changed})}
        return changed

    def outcome(self, changed: Files) -> str:
        """What comes of an input: ``accepted`` or ``refused``.

        Raises:
            AssertionError: It is refused by something else than a message of one line.
            Exception: Whatever else the reader raises.
        """
        self.sound  # noqa: B018  # written before anything takes its place
        try:
            for path, content in changed.items():
                if path not in self.sound:
                    (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_bytes(content)
            try:
                self.target.read(self.folder)
            except CageError as error:
                check_message(str(error))
                return "refused"
            return "accepted"
        finally:
            self._restore(changed)

    def _restore(self, changed: Files) -> None:
        for path in changed:
            if path in self.sound:
                (self.folder / path).write_bytes(self.sound[path])
            else:
                shutil.rmtree(self.folder / path.partition("/")[0], ignore_errors=True)
                (self.folder / path).unlink(missing_ok=True)
                self._rewrite(path.partition("/")[0])
        for name in self.target.leaves:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _rewrite(self, top: str) -> None:
        for path, content in self.sound.items():
            if path.partition("/")[0] == top:
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_bytes(content)


def check_message(message: str) -> None:
    """Refuse what is no clear line; where no release is found, its layouts are shown below it.

    Raises:
        AssertionError: It is none.
    """
    assert message.strip(), "an empty message"
    assert len(message) <= LONGEST, f"a message of {len(message)} characters: {message[:200]!r}"
    line, _, rest = message.strip().partition("\n")
    assert not rest or "none of these layouts" in line, f"several lines: {message[:200]!r}"


def _renamed(rng: random.Random, target: Target, path: str) -> str:
    """Another path: one of its parts changed."""
    parts = path.split("/")
    place = rng.randrange(len(parts))
    changed = target.mutations[path](rng, parts[place].encode()).decode("utf-8", "surrogateescape")
    safe = changed.replace("\0", "").replace("/", "_")[:60].lstrip(".")
    return "/".join([*parts[:place], safe or "x", *parts[place + 1 :]])
