"""Packing 60,000 pictures: kills, memory, and the time from opening the data to the first batch.

Run it by hand: ``python -m benchmarks.prepare``. It takes about five minutes on two cores and 2 GB
in the temporary folder. It writes an AffectNet release of 2021 there from a few drawn faces, each
picture under a different light, so that there are no duplicates but altered copies, the worst case
for the search of those. It packs the release without a
break, and again with three SIGKILLs at random moments: both stores must have the same bytes. Then
new processes load the first batch from the store and from the single files in turn, and the median
of the repeats is printed. All files are in the page cache by then. Memory is the peak resident set
(VmHWM) above that of a process that only imports.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from benchmarks.measuring import fresh

SIZES = {"train": 60_000, "val": 4_000}
FACES, PIXELS = 256, 112
KILLS, REPEATS = 3, 3


def write_release(root: Path) -> None:
    """Write SIZES pictures and their annotations in the layout of the release of 2021."""
    from cage_lightning.demo.faces import draw_face

    for split, size in SIZES.items():
        faces = [draw_face(0, split, index, PIXELS) for index in range(FACES)]
        images, annotations = (root / f"{split}_set" / n for n in ("images", "annotations"))
        for folder in (images, annotations):
            folder.mkdir(parents=True)
        rng = np.random.default_rng(size)
        for number in range(size):
            face = faces[number % FACES]
            light = Image.fromarray(rng.integers(64, 192, (4, 4, 3), dtype=np.uint8))
            light = light.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
            picture = ImageChops.add(Image.fromarray(face.image), light, offset=-128)
            picture.save(images / f"{number}.jpg", quality=face.jpeg_quality)
            values = {"exp": face.category, "val": face.valence, "aro": face.arousal}
            for name, value in values.items():
                np.save(annotations / f"{number}_{name}.npy", np.array(str(value)))


def peak() -> float:
    """Return the peak resident memory of this process in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_of_imports() -> float:
    import cage_lightning.commands.prepare  # noqa: F401
    import cage_lightning.data.datasets  # noqa: F401

    return peak()


def peak_of_prepare(arguments: list[str]) -> float:
    from cage_lightning.prepare import main

    sys.argv = ["prepare", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main()
    return peak()


def first_batch(root: Path, store: Path | None) -> tuple[float, float]:
    """Return the seconds from opening the data to the first training batch, and the peak memory."""
    import lightning.pytorch as pl

    from benchmarks.first_batch import make_batch
    from cage_lightning.data.datasets import AffectNet

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    start = time.perf_counter()
    source = AffectNet(
        release="auto",
        label_space="affectnet8",
        root=str(root),
        store=None if store is None else str(store),
        on_error="raise",
    )
    make_batch(source, PIXELS, trainer)
    return time.perf_counter() - start, peak()


def digests(store: Path) -> dict[str, str]:
    files = (path for path in store.rglob("*") if path.is_file() and path.name != ".lock")
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def killed(command: list[str], store: Path, seconds: float) -> str:
    """Start a command, kill it after some seconds, and return what it had done by then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    how = "killed" if process.returncode < 0 else "had ended"
    parts = len(list(store.rglob("*.arrow")))
    return f"{how} after {seconds:.1f} s, {parts} .arrow files there"


def benchmark(folder: Path) -> None:
    root, whole, resumed = (folder / name for name in ("release", "whole", "resumed"))
    start = time.perf_counter()
    write_release(root)
    print(f"{sum(SIZES.values()):,} pictures written in {time.perf_counter() - start:.0f} s")

    imports = fresh(peak_of_imports)
    arguments = ["data=affectnet8", f"data.root={root}"]
    start = time.perf_counter()
    memory = fresh(peak_of_prepare, [*arguments, f"data.store={whole}"])
    needed = time.perf_counter() - start
    print(f"in one go: {needed:.0f} s, {memory - imports:.0f} MiB above the imports' {imports:.0f}")

    command = [sys.executable, "-m", "cage_lightning.prepare", *arguments, f"data.store={resumed}"]
    rng = random.Random(0)
    # Each kill comes after the imports, and the three runs together do not finish the work.
    for _ in range(KILLS):
        print(killed(command, resumed, needed * rng.uniform(0.2, 0.5)))
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"the last one ended after {time.perf_counter() - start:.0f} s")
    if digests(resumed) != digests(whole):
        raise SystemExit("the stores differ")
    print(f"both stores have the same {len(digests(whole))} files, byte for byte")

    rivals = {"loose files": None, "packed store": whole}
    runs = [
        {name: fresh(first_batch, root, rivals[name]) for name in rivals} for _ in range(REPEATS)
    ]
    baseline = statistics.median(run["loose files"][0] for run in runs)
    for name in rivals:
        seconds = statistics.median(run[name][0] for run in runs)
        memory = max(run[name][1] for run in runs) - imports
        print(
            f"first batch, {name:12s} {seconds:6.2f} s  {seconds / baseline:5.2f}"
            f"  {memory:4.0f} MiB above the imports"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        benchmark(Path(temporary))
