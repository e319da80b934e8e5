"""`python -m cage_lightning.collect`: a table of the paper from finished runs."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("collect")
def main(config: DictConfig) -> None:
    """Make one table."""
    from cage_lightning.commands.collect import collect

    collect(config)


if __name__ == "__main__":
    main()
