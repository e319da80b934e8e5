"""What the doors (`python -m cage_lightning.train` and so on) share: Hydra, and clear errors.

Only Hydra is imported here: `--help` and `--cfg job` answer without loading torch.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cage_lightning.config import CONF_DIR, name_choices, register
from cage_lightning.errors import CageError
from cage_lightning.output import is_lost, keep_printing

FULL_ERROR = "HYDRA_FULL_ERROR"
_ONLY_PRINT = {"--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i"}


def door(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Turn a function of the composed config into a command.

    A user's mistake ends in one line on stderr and exit code 1; anything else keeps its traceback,
    and HYDRA_FULL_ERROR=1 keeps it for both.

    Args:
        config_name: The primary config, conf/<config_name>.yaml.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], None]:
        register()

        @functools.wraps(task)
        def named(config: DictConfig) -> None:
            name_choices(config)
            task(config)

        app = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(
            named
        )

        @functools.wraps(task)
        def command() -> None:
            keep_printing()
            if os.environ.get(FULL_ERROR) == "1":
                app()
                return
            os.environ[FULL_ERROR] = "1"  # Hydra hands the exception on instead of printing it
            try:
                app()
            except CageError as error:
                _fail(_message(error))
            except (HydraException, OmegaConfBaseException) as error:
                _fail(_explain(error, config_name))
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                sys.exit(130)
            # A task has its results in files.
            if is_lost() and not _ONLY_PRINT.isdisjoint(sys.argv):
                _fail("what was to be printed could not be written")

        return command

    return decorate


def multirun() -> bool:
    """Whether this process works through the jobs of a sweep itself."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def in_sweep() -> bool:
    """Whether this process is, or works through, a job of a sweep, on whatever launcher."""
    return HydraConfig.initialized() and not OmegaConf.is_missing(HydraConfig.get().job, "num")


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, with exit code 143."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _message(error: CageError) -> str:
    """The message itself: a loader's worker process puts a traceback before it."""
    text = str(error).strip()
    if "Original Traceback" in text:
        text = re.split(r"\n[\w.]+Error: ", text)[-1]
    return text


def _explain(error: Exception, config_name: str) -> str:
    """Hydra's message on one line, with the nearest name there is for a misspelt key."""
    text = " ".join(str(error).split())
    if missing := re.match(r"Missing mandatory value: (\S+)", text):
        return f"{missing.group(1)}=... is needed; --help shows how"
    if nowhere := re.match(r"Interpolation key 'starts\.([^']+)' not found", text):
        name = nowhere.group(1)
        return f"nothing says what '{name}' starts from: set +starts.{name}=RUN"
    wrong = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' not in '", text
    )
    if wrong is None:
        if error.__cause__ is not None:
            text += f": {' '.join(str(error.__cause__).split())}"
        choice = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
        if choice is None:
            return text
        group, name = choice.groups()
        known = [file.stem for file in (CONF_DIR / group).glob("*.yaml")]
        return (
            f"there is no {group}={name}{_nearest(name, known)}; "
            f"the choices are {', '.join(sorted(known))}"
        )
    key = wrong.group(1).split("@")[0]
    groups = [place.name for place in CONF_DIR.iterdir() if place.is_dir()]
    # Without a dot, the likeliest slip is in the name of a group.
    known = groups if "." not in key and _nearest(key, groups) else list(_keys(config_name))
    file = re.match(r"In '([^']+)'", text)
    where = f"{file.group(1)}.yaml: " if file else ""
    return f"{where}there is no setting '{key}'{_nearest(key, known)}; `--cfg job` prints them all"


def _nearest(name: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean '{matches[0]}'?" if matches else ""


def _keys(config_name: str) -> Iterator[str]:
    """Every key of the composed config, with dots."""
    # Composed from the same choices where they are valid: keys depend on them.
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    choices = [a for a in sys.argv[1:] if re.fullmatch(r"[\w/]+=[\w/]+", a)]
    groups = [a for a in choices if (CONF_DIR / a.replace("=", "/")).with_suffix(".yaml").is_file()]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            config = OmegaConf.to_container(compose(config_name, overrides=groups))
        except HydraException:  # the wrong key is in one of their files
            config = OmegaConf.to_container(compose(config_name))

    def walk(node: object, prefix: str) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                yield f"{prefix}{key}"
                yield from walk(value, f"{prefix}{key}.")

    return walk(config, "")
