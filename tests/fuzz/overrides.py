"""The command line: what is typed behind each command."""

from __future__ import annotations

import random
from functools import cache, partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cage_lightning.errors import ConfigError
from tests.fuzz.mutations import Mutation, of_text
from tests.fuzz.target import Target
from tests.unit.app.test_wrong_overrides import (
    BASE,
    as_in_a_folder_of_its_own,
    base_of,
    outcome,
)
from tests.wrong_overrides import wrong_overrides

_TYPED = "typed"


@cache
def _settings(name: str) -> Any:
    return OmegaConf.to_container(base_of(name))


def _wrong(name: str) -> Mutation:
    """One of the wrong overrides of a command, half of them with other words in it."""

    def mutation(rng: random.Random, before: bytes) -> bytes:
        ((_rule, typed),) = wrong_overrides(_settings(name), name, 1, rng.getrandbits(64))
        content: bytes = typed.encode()
        return of_text(rng, content) if rng.random() < 0.5 else content

    return mutation


def _read(name: str, folder: Path) -> None:
    # What the shell hands over has no zero bytes.
    typed = (folder / _TYPED).read_bytes().decode("utf-8", "surrogateescape").replace("\0", "")
    with as_in_a_folder_of_its_own(folder, folder):
        if line := outcome(name, typed, built=False):
            raise ConfigError(line)


TARGETS = tuple(
    Target(
        f"command line of {name}",
        lambda folder: (folder / _TYPED).write_text("hydra.verbose=true"),
        partial(_read, name),
        {_TYPED: _wrong(name)},
    )
    for name in BASE
)
