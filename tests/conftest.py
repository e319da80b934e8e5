"""What the tests share: composed configs, and the real command in a process of its own."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import hypothesis
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from cage_lightning.app.schema import CONF_DIR, register
from cage_lightning.runs.folder import RunFolder
from tests.compositions import remember_compositions

# The smallest real training: the tiny demo faces, a small network, two epochs, no worker process.
TINY = (
    "data=demo8",
    "data.size=tiny",
    "model=tiny",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "data.num_workers=0",
)

Process = Literal["here", "forked", "started"]
Command = Callable[..., subprocess.CompletedProcess[str]]
Train = Callable[..., RunFolder]


def pytest_configure() -> None:
    """Prepare the process of the tests."""
    # By default Python looks for garbage some thousand times while modules are imported.
    gc.set_threshold(50_000, 20, 50)
    # Commands under test hear Ctrl-C, although what a shell starts in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    remember_compositions()
    _remember_packages()
    # The same examples at every run, however busy the machine is; `search` looks for new ones.
    hypothesis.settings.register_profile(
        "same", deadline=None, max_examples=30, derandomize=True, database=None
    )
    hypothesis.settings.register_profile("search", deadline=None, max_examples=1_000)
    hypothesis.settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what needs tests/untouched.py: its hook cannot be removed, and slows Python down."""
    items.sort(key=lambda item: hasattr(getattr(item, "module", None), "untouched"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Take back what a command, called as a function, has set for the logging of its process."""
    root = logging.root
    level, handlers = root.level, root.handlers[:]
    try:
        return (yield)
    finally:
        root.handlers[:] = handlers
        if root.level != level:  # to set it empties a memory of every logger
            root.setLevel(level)


def pytest_sessionfinish() -> None:
    """Look for garbage once more; pytest and Python, which do so a dozen times, then find none."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m slow`, or `slow and not ...`, do not import the files that have no slow test."""
    first, *rest = config.option.markexpr.split() or [""]
    if first != "slow" or "or" in rest or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if "mark.slow" in text or "NEEDS_CHROMIUM" in text else True


def _remember_packages() -> None:
    """Look only once for what installed packages offer; Lightning does for each of its trainers."""
    vars(importlib.metadata)["entry_points"] = functools.cache(importlib.metadata.entry_points)


def composed(*overrides: str, config_name: str = "train") -> DictConfig:
    """The config that the command line would compose."""
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose(config_name, overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


def shared(
    factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object] = Path.mkdir
) -> Path:
    """A folder that all processes of a test run have in common: the first that comes fills it."""
    from cage_lightning.system.atomic import locked

    here = factory.getbasetemp()
    place = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    folder, part = place / name, place / f"{name}.part"
    with locked(place / f"{name}.lock"):
        if not folder.exists():
            fill(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for CAGE_DATA, shared by the whole test run: the tiny demo faces are drawn once."""
    from cage_lightning.demo.faces import write_release

    root = shared(tmp_path_factory, "data")
    write_release(root / "demo_faces" / "tiny", "tiny")
    return root


@pytest.fixture(scope="session")
def few_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release a quarter the size of the tiny one: for runs of which only the course matters."""
    from cage_lightning.demo.faces import release

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "SIZES", {"tiny": release.Size(train=64, val=16, pixels=32)})
        return shared(tmp_path_factory, "few", lambda root: release.write_release(root, "tiny"))


@pytest.fixture(scope="session")
def demo_persons(demo_root: Path) -> Path:
    """The tiny demo EMOTIC below `demo_root`, drawn once."""
    from cage_lightning.demo.emotic import write_release

    write_release(demo_root / "demo_emotic" / "tiny", "tiny")
    return demo_root / "demo_emotic" / "tiny"


@pytest.fixture
def command(tmp_path: Path, demo_root: Path) -> Command:
    """Run `python -m cage_lightning.<door> ...` in tmp_path, without network or terminal.

    It runs inside the process of the tests. `process="forked"` gives it one of its own, for ranks
    or a memory of its own; `process="started"` starts Python, where its imports matter. What it
    starts, such as the jobs of a sweep, is started in the last case and forked in the others.
    """

    def run(
        door: str, *arguments: str, check: bool = True, process: Process = "here", **env: str
    ) -> subprocess.CompletedProcess[str]:
        start = in_process() if process == "here" else run_in_a_process
        with nullcontext() if process == "started" else forks():
            done = start(door, arguments, tmp_path, environment(demo_root) | env)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def run_in_a_process(
    door: str, arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [sys.executable, "-m", f"cage_lightning.{door}", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )


def in_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_in_process`, which imports torch: only for the tests that run a command."""
    from tests.in_process import run_in_process

    return run_in_process


def forks() -> AbstractContextManager[None]:
    """`tests.forks.forks`, which imports torch: only for the tests that run a command."""
    from tests.forks import forks

    return forks()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, demo_root: Path) -> Path:
    """A folder with runs/default/demo8-tiny-combined-s0, trained once; tests work on copies."""

    def train(folder: Path) -> None:
        folder.mkdir()
        done = in_process()("train", (*TINY, "loss=combined"), folder, environment(demo_root))
        assert done.returncode == 0, done.stdout + done.stderr

    return shared(tmp_path_factory, "trained", train)


@pytest.fixture
def train_here(tmp_path: Path, demo_root: Path) -> Iterator[Train]:
    """Train in this process, in tmp_path/runs, and return the run's folder.

    One epoch unless told otherwise, on pictures of the size that they are drawn in.

    Unlike `command` it raises what a run raises; what a run says is in its train.log.
    """
    from cage_lightning.commands.train import train
    from tests.in_process import as_a_process

    def run(*overrides: str) -> RunFolder:
        runs = f"runs={tmp_path / 'runs'}"
        config = composed(*TINY, "trainer.max_epochs=1", "model.image_size=32", runs, *overrides)
        train(config)
        return RunFolder.of(config)

    with as_a_process(tmp_path, environment(demo_root)):
        yield run


@pytest.fixture
def only_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are saved coarsely, and as PNG alone; the tests of the report save every format."""
    monkeypatch.setattr("cage_lightning.report.figures._DPI", 40)
    monkeypatch.setattr("cage_lightning.report.figures.FORMATS", ("png",))


@contextmanager
def locked_elsewhere(path: Path) -> Iterator[None]:
    """Let another process hold the lock file `path`."""
    code = "import sys, fcntl; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print()"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{code}; sys.stdout.flush(); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        assert holder.stdin is not None
        holder.stdin.close()


def environment(data: Path) -> dict[str, str]:
    """The environment of a command under test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
    return kept | {"CAGE_DATA": str(data), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
