"""The settings of W&B that the current folder brings along, which may be a stranger's."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from cage_lightning.errors import ConfigError

_HARMLESS = {"project", "entity", "mode", "disabled"}
_USUAL = {"base_url": "https://api.wandb.ai"}


def check_settings_of_folder() -> None:
    """Refuse a file ``wandb/settings`` that could send the key of W&B somewhere else.

    W&B follows this file of the current folder before the user's own one.

    Raises:
        ConfigError: It sets more than a project, unless the environment sets the same.
    """
    file = Path(os.environ.get("WANDB_DIR") or ".") / "wandb" / "settings"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error):  # W&B does not read it either
        return
    for key, value in parser.items("default") if parser.has_section("default") else ():
        usual = _USUAL.get(key) == value.rstrip("/")
        if key not in _HARMLESS and not usual and f"WANDB_{key.upper()}" not in os.environ:
            raise ConfigError(
                f"{file} of this folder sets {key}, by which your key of W&B could get elsewhere: "
                f"delete that line, or set WANDB_{key.upper()} yourself"
            )
