"""Keys in the environment of a command, and a search for them in all that it has written."""

from __future__ import annotations

from pathlib import Path

KEYS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdefplanted1",
    "HF_TOKEN": "hf_planted2planted2planted2planted2xx",
    "AWS_SECRET_ACCESS_KEY": "planted3/planted3+planted3planted3planted",
    "MY_PASSWORD": "planted4-correct-horse",
}


def files_with_keys(folder: Path) -> list[str]:
    """Which files below a folder hold a key, or are called by one."""
    return sorted(
        f"{name} in {file}"
        for file in folder.rglob("*")
        for name, key in KEYS.items()
        if key in file.name or (file.is_file() and key.encode() in file.read_bytes())
    )
