"""`python -m cage_lightning.analyze`: the paper's figures and tables of a dataset."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("analyze")
def main(config: DictConfig) -> None:
    """Draw how categories and affect are distributed in a release's own splits."""
    from cage_lightning.commands.analyze import analyze

    analyze(config)


if __name__ == "__main__":
    main()
