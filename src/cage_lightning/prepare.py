"""`python -m cage_lightning.prepare`: check a release and pack it into a store."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("prepare")
def main(config: DictConfig) -> None:
    """Check every picture, find duplicates, write the store and the data card."""
    from cage_lightning.commands.prepare import prepare

    prepare(config)


if __name__ == "__main__":
    main()
