"""Commands of ours in processes of their own that import nothing again: forks of the tests'.

To start Python and import torch, Lightning and timm costs six to eight seconds of the processor,
most of what a small training takes. While `forks()` holds, a `subprocess.Popen` of
`python -m cage_lightning.<command>`, of a command of the tests, or of the launcher's guard around
one, forks this process where it would execute Python. All else is as after an execution: the
process has an id, a session or a group, standard streams, folder, environment and signal handlers
of its own, no other open file, and it ends by an exit code or a signal. What it starts in turn is
forked in the same way: the jobs of a sweep, the ranks of a training.

/proc/<id>/cmdline alone is still that of the tests. Where the start itself matters, such as which
modules are imported, a test starts Python.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing.process
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.utilities import rank_zero_only

from hydra_plugins.cage_launcher import _guard
from tests.in_process import as_a_process, exit_code, open_streams

# Objects of the parent that would close or write a file where their last reference goes.
_kept: list[object] = []


@contextmanager
def forks() -> Iterator[None]:
    """Let what is started of ours within the block be forks of this process."""
    execute = vars(subprocess)["_fork_exec"]

    def start(arguments: Sequence[Any], *how: Any) -> int:
        command = [os.fsdecode(argument) for argument in arguments]
        return _fork(command, *how) if _is_ours(command) else int(execute(arguments, *how))

    vars(subprocess)["_fork_exec"] = start
    try:
        yield
    finally:
        vars(subprocess)["_fork_exec"] = execute


def _is_ours(command: Sequence[str]) -> bool:
    match command:
        case [sys.executable, "-m", module, *_]:
            return module.startswith(("cage_lightning.", "tests."))
        case [sys.executable, "-IS", _guard.__file__, _, *guarded]:
            return _is_ours(guarded)
    return False


def _fork(
    command: list[str],
    executables: object,
    close_others: bool,
    kept: Sequence[int],
    cwd: str | bytes | None,
    env: Sequence[bytes] | None,
    *more: Any,
) -> int:
    """What `subprocess._fork_exec` does, with its arguments."""
    stdin, _, _, stdout, _, stderr, _, report, _, new_session, group, *_ = more
    with warnings.catch_warnings():
        # Newer Pythons warn of threads; those of xdist and W&B wait for something to read.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    try:
        _forget_the_parent()
        if new_session:
            os.setsid()
        if group >= 0:
            os.setpgid(0, group)
        for number, file in enumerate((stdin, stdout, stderr)):
            if file >= 0:
                os.dup2(file, number)
        _let_go_of_files(set(kept) - {report})  # it tells the parent that the process has begun
        _run(command, Path(os.fsdecode(cwd)) if cwd else Path.cwd(), _environment(env))
    finally:
        traceback.print_exc()
        os._exit(70)


def _forget_the_parent() -> None:
    """Signal handlers, children and what is to be done at the end are no matter of this process."""
    gc.freeze()
    _kept.extend((sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__))
    for number in signal.Signals:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    vars(atexit)["_clear"]()
    atexit.register(vars(util)["_exit_function"])
    vars(multiprocessing.process)["_children"].clear()
    vars(util)["_finalizer_registry"].clear()
    vars(subprocess)["_active"].clear()


def _let_go_of_files(kept: set[int]) -> None:
    """Behind every other number there is nothing from now on; an owner may still close it."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in kept | {nothing}:
            os.dup2(nothing, number, inheritable=False)


def _environment(env: Sequence[bytes] | None) -> dict[str, str]:
    if env is None:
        return dict(os.environ)
    return dict(os.fsdecode(entry).split("=", 1) for entry in env)


def _run(command: list[str], cwd: Path, env: dict[str, str]) -> NoReturn:
    """Run the command and end the process as Python ends."""
    sys.orig_argv[:] = command
    program, *arguments = command[2:]
    open_streams(env.get("PYTHONIOENCODING", "utf-8"))
    with as_a_process(cwd, env):
        vars(rank_zero_only)["rank"] = _get_rank() or 0
        try:
            code = exit_code(program, arguments)
        except KeyboardInterrupt:
            traceback.print_exc()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:  # what only a test raises
            traceback.print_exc()
            code = 1
        # As Python ends; to leave this block would be to go on living.
        vars(threading)["_shutdown"]()
        vars(atexit)["_run_exitfuncs"]()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
