"""Files with one bit flipped, read in a process of its own, which may die of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from cage_lightning.errors import CageError


def reads_of_flipped(
    file: Path,
    count: int,
    read: Callable[[Path], object],
) -> list[str]:
    """What came of reading `count` copies of a file, each with another bit flipped.

    Args:
        file: The sound file.
        count: How many bits, drawn by a fixed seed.
        read: What is compared.

    Returns:
        ``same``; ``changed``; ``refused`` by one line that names the file; or what else was raised,
        after which ``died`` comes last where the process did.
    """
    sound, whole = file.read_bytes(), read(file)
    copy = file.with_name(f"flipped-{file.name}")

    def outcome(bit: int) -> str:
        content = bytearray(sound)
        content[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(content)
        try:
            return "same" if read(copy) == whole else f"changed by bit {bit}"
        except CageError as error:
            named = copy.name in str(error) and "\n" not in str(error)
            return "refused" if named else f"bit {bit}: {error}"
        except BaseException as error:
            return f"bit {bit}: {error!r}"

    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(there, "w", buffering=1) as pipe:
            for bit in random.Random(0).sample(range(len(sound) * 8), count):
                print(outcome(bit).replace("\n", "|"), file=pipe)
            pipe.flush()
            os._exit(0)
    os.close(there)
    with os.fdopen(here) as pipe:
        outcomes = pipe.read().splitlines()
    return outcomes + ["died"] * (os.waitpid(child, 0)[1] != 0)
