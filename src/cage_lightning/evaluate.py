"""`python -m cage_lightning.evaluate`: a checkpoint on the test split of a dataset."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("evaluate")
def main(config: DictConfig) -> None:
    """Evaluate one checkpoint."""
    if config.dry:
        from cage_lightning.commands.dry_run import dry_run_of_evaluation

        dry_run_of_evaluation(config)
        return
    from cage_lightning.commands.evaluate import evaluate

    evaluate(config)


if __name__ == "__main__":
    main()
