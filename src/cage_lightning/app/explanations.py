"""What Hydra and OmegaConf refuse, in one line that names the setting and the remedy."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterator, Sequence
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cage_lightning.app.command import Command, commands
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.system.escaping import on_one_line

_MISSING = (r"issing mandatory value: (\S+)", r"You must specify '([^']+)'")
_UNKNOWN = (r"Could not override '([^']+)'", r"Key '([^']+)' (?:not|is not) in ")


def explain(error: Exception, command: Command, overrides: Sequence[str]) -> str:
    """One line for an error of Hydra or OmegaConf.

    Args:
        error: What was raised while the config was composed or read.
        command: The command that was called.
        overrides: Those of the command line.
    """
    text = _one_line(error)
    return on_one_line(
        _of_another_command(command, overrides)
        or _no_such_choice(error, text, command, overrides)
        or _starts_from_nothing(text)
        or _is_missing(error, text, command)
        or _no_such_setting(error, text, command, overrides)
        or _with_cause(error, text)
    )


def refused_override(error: Exception) -> str | None:
    """The override, as it was typed, on which Hydra itself failed; None if it did not.

    Hydra has no message of its own for a wrong index of a list.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "_apply_overrides_to_config":
            override: str = frame.f_locals["override"].input_line
            return override
    return None


def _of_another_command(command: Command, overrides: Sequence[str]) -> str | None:
    for override in overrides:
        key, _, choice = override.lstrip("+~").partition("=")
        setting, _, _ = key.partition("@")
        first = setting.replace("/", ".").partition(".")[0]
        if first not in command.keys and (others := _commands_with(first)):
            return f"{first} is a setting of {others}, not of {command.name}"
        offered = command.groups.get(setting, [] if command.is_group(setting) else [choice])
        if choice not in offered and (others := _commands_with(setting, choice)):
            return f"{setting}={choice} is for {others}, not for {command.name}"
    return None


def _commands_with(key: str, choice: str | None = None) -> str:
    """The commands that have a setting, or one of its choices."""
    known = [
        name
        for name in commands()
        if key in (command := _command(name)).keys
        and (choice is None or choice in command.groups.get(key, []))
    ]
    return " and ".join([", ".join(known[:-1]), known[-1]] if known[1:] else known)


_command = cache(Command)  # what each command takes is read once


def _no_such_choice(
    error: Exception, text: str, command: Command, overrides: Sequence[str]
) -> str | None:
    missing = re.search(r"Could not find '([^']+?)/+([^'/]*)'", text)
    if missing is None:
        return None
    group, name = missing.groups()
    if (now := _now_at_demo(group, name)) is not None:
        return now
    options = error.options if isinstance(error, MissingConfigException) else None
    known = command.groups.get(group) or sorted(options or [])
    if not any(override.startswith(f"{group}=") for override in overrides):
        causes = [o for o in overrides if o.partition("=")[0] in command.groups]
        return (
            f"{', '.join(causes)}: there is no {group}={name}, which follows from it; add "
            f"{group}/{name}.yaml to your --config-dir, or choose {group}=... of {', '.join(known)}"
        )
    return f"there is no {group}={name}{_nearest(name, known)}; the choices are {', '.join(known)}"


def _now_at_demo(group: str, name: str) -> str | None:
    """What to type for the sweeps on drawn data, which once had files of their own."""
    sweep = name.removesuffix("_demo")
    if group != "sweep" or sweep == name or not _commands_with("sweep", sweep):
        return None
    return f"there is no sweep={name} any more: type sweep={sweep} at=demo"


def _starts_from_nothing(text: str) -> str | None:
    nowhere = re.match(r"Interpolation key 'starts\.([^']+)' not found", text)
    if nowhere is None:
        return None
    name = nowhere.group(1)
    return f"nothing says what '{name}' starts from: set +starts.{name}=RUN"


def _is_missing(error: Exception, text: str, command: Command) -> str | None:
    key = _first(_MISSING, text) or _left_out(text)
    if key is None:
        return None
    if "." not in key:
        key = getattr(error, "full_key", None) or key
    choices = command.groups.get(key)
    which = f": one of {', '.join(choices)}" if choices else ""
    return f"{key}=... is needed{which}; --help shows how"


def _left_out(text: str) -> str | None:
    """The group without a choice, which the name of another file depends on."""
    found = re.search(r"Error resolving interpolation '([^']+)', .* keys: (.*)", text)
    if found is None:
        return None
    known = found.group(2).split(", ")
    return next(
        (key for key in re.findall(r"\$\{(\w+)\}", found.group(1)) if key not in known), None
    )


def _no_such_setting(
    error: Exception, text: str, command: Command, overrides: Sequence[str]
) -> str | None:
    key = _first(_UNKNOWN, text)
    if key is None:
        return None
    key = (getattr(error, "full_key", None) or key).partition("@")[0]
    if command.name != "train" and key in _settings(Command("train"), overrides):
        return f"{key} is a setting of train, not of {command.name}"
    file = re.match(r"In '([^']+)'", text)
    where = f"{file.group(1)}.yaml: " if file else ""
    hint = _similar(key, command, overrides)
    return f"{where}there is no setting '{key}'{hint}; `--cfg job` prints them all"


def _with_cause(error: Exception, text: str) -> str:
    """The message, with its cause."""
    text = text.removeprefix("Error merging override ")
    key = getattr(error, "full_key", None)
    if isinstance(error, OmegaConfBaseException) and key:
        text = f"{key}: {text}"
    cause = error.__cause__
    return text if cause is None else f"{text}: {_one_line(cause)}"


def _similar(key: str, command: Command, overrides: Sequence[str]) -> str:
    """The settings that a misspelt key may mean."""
    if "." not in key and (hint := _nearest(key, sorted(command.keys))):
        return hint
    settings = list(_settings(command, overrides))
    if key in settings:
        return " with what is chosen; with data=demo8 there is"
    name = key.rpartition(".")[2]
    namesakes = [setting for setting in settings if setting.rpartition(".")[2] == name]
    if namesakes:
        return f", did you mean {' or '.join(repr(setting) for setting in namesakes[:3])}?"
    return _nearest(key, settings)


def _nearest(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean '{matches[0]}'?" if matches else ""


def _settings(command: Command, overrides: Sequence[str]) -> Iterator[str]:
    """Every value of the composed config, by its key with dots."""
    # Composed from the same choices where they are valid: keys depend on them.
    chosen = [
        override
        for override in overrides
        if override.partition("=")[2] in command.groups.get(override.partition("=")[0], [])
    ]
    needed = [] if any(o.startswith("data=") for o in chosen) else ["data=demo8"]
    known = [*chosen, *(needed if "data" in command.groups else [])]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            config = OmegaConf.to_container(compose(command.name, overrides=known))
        except HydraException:  # the wrong key is in one of their files
            config = OmegaConf.to_container(compose(command.name, overrides=needed))

    def walk(node: object, prefix: str) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                yield from walk(value, f"{prefix}.{key}")
        else:
            yield prefix[1:]

    return walk(config, "")


def _first(patterns: Sequence[str], text: str) -> str | None:
    found = (re.search(pattern, text) for pattern in patterns)
    return next((match.group(1) for match in found if match), None)


def _one_line(error: BaseException) -> str:
    """What an error says; OmegaConf adds lines about types that concern its own objects."""
    lines = str(error).splitlines()
    kept = [
        line for line in lines if not re.match(r"\s*(full_key|reference_type|object_type)", line)
    ]
    return " ".join(" ".join(kept).split())
