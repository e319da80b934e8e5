"""What the commands (`python -m cage_lightning.train` and so on) share: Hydra, and clear errors.

Only Hydra is imported here: `--help` and `--cfg job` answer without loading torch.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cage_lightning.app.arguments import as_choices, check_overrides, parse_options
from cage_lightning.app.command import Command, commands
from cage_lightning.app.explanations import explain, refused_override
from cage_lightning.app.schema import CONF_DIR, CommandName, name_choices, register
from cage_lightning.errors import CageError, ConfigError, OutputError
from cage_lightning.runs.wandb_agent import hydra_overrides
from cage_lightning.system.credentials import refuse_credentials, without_credentials
from cage_lightning.system.escaping import for_terminal
from cage_lightning.system.orphans import end_with_the_first_rank
from cage_lightning.system.output import is_lost, keep_printing
from cage_lightning.system.sigterm import Terminated, sigterm_exits
from cage_lightning.system.storage import shortage

FULL_ERROR = "HYDRA_FULL_ERROR"
_ONLY_PRINT = {"--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i"}
_OPENS_ADDRESSES = ("predict", "serve")  # a camera may have a password, which they keep nowhere

_Task = Callable[[DictConfig], Any]
_REFUSALS = (CageError, HydraException, OmegaConfBaseException)


def command(config_name: CommandName) -> Callable[[_Task], Callable[[], None]]:
    """Turn a function of the composed config into a command.

    A user's mistake ends in one line on stderr and exit code 1; anything else keeps its traceback,
    and HYDRA_FULL_ERROR=1 keeps it for both.

    Args:
        config_name: The primary config, conf/<config_name>.yaml.
    """

    def decorate(task: _Task) -> Callable[[], None]:
        register()

        @functools.wraps(task)
        @sigterm_exits()
        def run() -> None:
            keep_printing()
            end_with_the_first_rank()
            sys.argv[1:] = hydra_overrides(sys.argv[1:])
            if os.environ.get(FULL_ERROR) == "1":
                _run(task, config_name)
                return
            try:
                messages = _run(task, config_name)
            except Terminated:
                raise
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                sys.exit(130)
            except CageError as error:
                messages = [str(error)]
            except (OSError, RuntimeError) as error:
                if (message := shortage(error, Path.cwd())) is None:
                    raise
                messages = [str(OutputError(message))]
            for message in messages:
                print(f"error: {for_terminal(without_credentials(message))}", file=sys.stderr)
            if messages:
                sys.exit(1)
            # A task has its results in files.
            if is_lost() and not _ONLY_PRINT.isdisjoint(sys.argv):
                print("error: what was to be printed could not be written", file=sys.stderr)
                sys.exit(1)

        return run

    return decorate


def _run(task: _Task, config_name: str) -> list[str]:
    """Do what the command line says.

    Returns:
        What was refused; with HYDRA_FULL_ERROR=1 it is raised instead.
    """
    options = parse_options(sys.argv[1:])
    command = Command(config_name, _places(options.config_dir))
    if options.help:
        print(command.help())
        return []
    if config_name not in _OPENS_ADDRESSES:  # a sweep writes them into the logs of its jobs
        typed = (one.lstrip("+~").partition("=") for one in options.overrides)
        refuse_credentials({key: value for key, _, value in typed})
    sys.argv[1:] = as_choices(sys.argv[1:], command)
    check_overrides(as_choices(options.overrides, command), command)
    main = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    task = _naming_choices(task, config_name)
    if os.environ.get(FULL_ERROR) == "1":
        main(task)()
        return []
    refused: list[Exception] = []
    os.environ[FULL_ERROR] = "1"  # Hydra hands exceptions on instead of printing them
    try:
        main(_collecting(task, refused))()
    except _REFUSALS as error:
        _check_interruption(error)
        refused.append(error)
    except (TypeError, ValueError) as error:
        if (override := refused_override(error)) is None:
            raise
        refused.append(ConfigError(f"{override}: {error}"))
    finally:
        del os.environ[FULL_ERROR]
    return [
        str(error) if isinstance(error, CageError) else explain(error, command, options.overrides)
        for error in refused
    ]


def _naming_choices(task: _Task, config_name: str) -> _Task:
    @functools.wraps(task)
    def job(config: DictConfig) -> Any:
        name_choices(config)
        if config_name not in _OPENS_ADDRESSES:
            refuse_credentials(OmegaConf.to_container(config, resolve=False))  # type: ignore[arg-type]
        if config_name in commands() and not config.get("dry"):  # a dry run needs no torch
            _import(f"cage_lightning.commands.{config_name}")
        return task(config)

    return job


def _import(module: str) -> None:
    """Import a module without looking for garbage, and never look through what it imports.

    Python would do so a thousand times while torch and Lightning are imported, of which nothing
    becomes garbage, and again at its end: a quarter of the processor's time for a short command.
    """
    if module in sys.modules:
        return
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)


def _collecting(task: _Task, refused: list[Exception]) -> _Task:
    """The same task; of what it refuses, Hydra would print a message of its own.

    A launcher may run it in another process, which `refused` is not that of: there it is raised.
    """
    home = _process()

    @functools.wraps(task)
    def job(config: DictConfig) -> Any:
        os.environ.pop(FULL_ERROR, None)  # not for the processes of further devices
        try:
            return task(config)
        except _REFUSALS as error:
            _check_interruption(error)
            if _process() != home:
                raise
            refused.append(error)
            return None
        except (OSError, RuntimeError) as error:
            message = shortage(error, Path.cwd())
            if message is None or _process() != home:
                raise
            refused.append(OutputError(message))
            return None
        finally:
            os.environ[FULL_ERROR] = "1"

    return job


def _check_interruption(error: BaseException) -> None:
    """Raise what an error comes from if that is Ctrl-C or SIGTERM.

    OmegaConf makes an error of them.
    """
    seen: list[BaseException] = []  # errors can come from each other in a circle
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if isinstance(one, KeyboardInterrupt):
            raise type(one) from error
        if one is not None and one not in seen:
            seen.append(one)
            left += [one.__cause__, one.__context__]


def _process() -> tuple[str, int]:
    return platform.node(), os.getpid()


def _places(config_dir: str | None) -> tuple[Path, ...]:
    """Where choices lie."""
    return (CONF_DIR,) if config_dir is None else (CONF_DIR, Path(config_dir))


def multirun() -> bool:
    """Whether this process works through the jobs of a sweep itself."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def in_sweep() -> bool:
    """Whether this process is, or works through, a job of a sweep, on any launcher."""
    return HydraConfig.initialized() and not OmegaConf.is_missing(HydraConfig.get().job, "num")


def typed_settings() -> list[str]:
    """The keys that the command line, or a sweep, set for this process; none outside a command."""
    return [override.lstrip("+~").partition("=")[0] for override in typed_overrides()]


def typed_overrides() -> list[str]:
    """What the command line, or a sweep, set for this process, as it was typed."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
