"""A command of ours inside the process of the tests: the start of Python is paid only once.

It finds what `python -m cage_lightning.<door>` finds in a process of its own (arguments, folder,
environment, streams, warning filters, Hydra and logging untouched), and leaves nothing behind.
"""

from __future__ import annotations

import gc
import logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import IO

import matplotlib as mpl
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.seed import isolate_rng
from matplotlib import pyplot as plt


def run_in_process(
    door: str, arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `python -m cage_lightning.<door> <arguments>` here, as if it were a process of its own.

    Args:
        door: The command.
        arguments: Those of the command line.
        cwd: The folder it works in.
        env: The whole environment; PYTHONIOENCODING counts, as it does when Python starts.

    Returns:
        As `subprocess.run(..., capture_output=True, text=True)` does.
    """
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _streams(out, err, encoding), as_a_process(cwd, env):
            code = exit_code(f"cage_lightning.{door}", arguments)
        for file in (out, err):
            file.seek(0)
        said = (file.read().decode(encoding) for file in (out, err))
        return subprocess.CompletedProcess([door, *arguments], code, *said)


@contextmanager
def as_a_process(cwd: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Everything but the streams as a process finds it at its start; nothing of it stays."""
    with chdir(cwd), _environment(env), _logging(), _rest():
        yield


def exit_code(program: str, arguments: Sequence[str]) -> int:
    """Run a module, as Python does after `-m`, or the file of a script.

    Returns:
        The exit code of Python; of an exception it tells as Python does at its end.
    """
    argv, sys.argv = sys.argv, [program, *arguments]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.argv = argv
    return 0


@contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _streams(out: IO[bytes], err: IO[bytes], encoding: str) -> Iterator[None]:
    """The three standard streams, also for the processes that the command starts."""
    python, copies = (sys.stdin, sys.stdout, sys.stderr), [os.dup(number) for number in range(3)]
    for stream in python[1:]:
        stream.flush()
    with Path(os.devnull).open("rb") as nothing:
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
    originals = {"__stdout__": sys.__stdout__, "__stderr__": sys.__stderr__}
    open_streams(encoding)
    try:
        yield
    finally:
        vars(sys).update(originals)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        sys.stdin, sys.stdout, sys.stderr = python
        for number, copy in enumerate(copies):
            os.dup2(copy, number)
            os.close(copy)


def open_streams(encoding: str) -> None:
    """Open the standard streams of Python on the files 0, 1 and 2, as Python does at its start."""
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding, "backslashreplace", closefd=False)
    vars(sys).update({"__stdout__": sys.stdout, "__stderr__": sys.stderr})


@contextmanager
def _logging() -> Iterator[None]:
    """Loggers as they are at the start; the handlers of the tests neither hear nor are closed."""
    root = logging.getLogger()
    others = [x for x in root.manager.loggerDict.values() if isinstance(x, logging.Logger)]
    kept = [(x, x.handlers[:], x.level, x.propagate, x.disabled) for x in (root, *others)]
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    # To configure logging closes all of these, and that of absl closes the stream it writes to.
    registered = vars(logging)["_handlerList"]
    before, registered[:] = registered[:], []
    try:
        yield
    finally:
        registered[:] = before
        logging.captureWarnings(False)
        for handler in root.handlers[:]:
            handler.close()
        for logger, handlers, level, propagate, disabled in kept:
            logger.handlers[:] = handlers
            if logger.level != level:  # to set it empties a memory of every logger
                logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled


@contextmanager
def _rest() -> Iterator[None]:
    """Hydra, random states, switches of torch, signals, W&B, figures and warning filters."""
    hydra, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    rank = getattr(rank_zero_only, "rank", None)
    deterministic = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    leave, tell = sys.exit, sys.excepthook  # W&B puts its own in their place
    gc.freeze()  # the collection at the end looks through what the command makes, and no more
    heard = [(number, signal.getsignal(number)) for number in signal.Signals]
    with isolate_rng(), mpl.rc_context(), warnings.catch_warnings():
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        _warn_as_python_does()
        try:
            yield
        finally:
            GlobalHydra.instance().hydra = hydra
            HydraConfig.instance().cfg = config
            vars(rank_zero_only)["rank"] = rank
            torch.use_deterministic_algorithms(deterministic)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
            for number, handler in heard:
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
            sys.exit, sys.excepthook = leave, tell
            if "wandb" in sys.modules:
                sys.modules["wandb"].teardown()  # its service process; it remembers the environment
            plt.close("all")
            gc.collect()  # while a file left open is no error yet, as where a process ends
            gc.unfreeze()


def _warn_as_python_does() -> None:
    warnings.resetwarnings()
    for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", kind)
    # Of runpy: the tests have imported the door as well.
    warnings.filterwarnings("ignore", ".*found in sys.modules.*", RuntimeWarning)
