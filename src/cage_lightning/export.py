"""`python -m cage_lightning.export`: a trained model as a folder that other people can use."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("export")
def main(config: DictConfig) -> None:
    """Write weights, description, model card and further forms, each tested on the test split."""
    from cage_lightning.commands.export import export

    export(config)


if __name__ == "__main__":
    main()
