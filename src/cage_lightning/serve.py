"""`python -m cage_lightning.serve`: a page on this machine that shows what a model infers."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("serve")
def main(config: DictConfig) -> None:
    """Serve the page until Ctrl-C."""
    from cage_lightning.commands.serve import serve

    serve(config)


if __name__ == "__main__":
    main()
