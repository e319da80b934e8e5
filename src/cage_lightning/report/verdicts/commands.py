"""The commands that would settle what a claim says."""

from __future__ import annotations

from collections.abc import Iterator

from cage_lightning.report.published import Claim, Row
from cage_lightning.report.verdicts.rules import SEEDS

_LOSSES = ("discrete", "combined", "va")  # what others start from comes before them
_EMOTIC = "emotic"
_BACKBONES_OF = Row("affectnet8", "maxvit", "combined")  # what the model of EMOTIC starts from


def settling(claim: Claim, seeds: int) -> tuple[str, ...]:
    """The commands after which `collect` can judge a claim, in their order.

    They train as many seeds as a verdict needs, or twice as many as have not settled it. Finished
    runs among them are left alone. Each protocol has groups of its own.

    Args:
        claim: What is to be settled.
        seeds: How many seeds the runs have that it was judged by.
    """
    wanted = SEEDS if seeds < SEEDS else 2 * seeds
    return tuple(_settling(claim, range(wanted)))


def _settling(claim: Claim, seeds: range) -> Iterator[str]:
    rows = [row for part in claim.parts for row in part.rows]
    if rows[0].data == _EMOTIC and claim.protocol == "paper":
        yield _train(claim, [_BACKBONES_OF], seeds)
    yield _train(claim, rows, seeds)
    for on in dict.fromkeys(part.on for part in claim.parts if part.on):
        folders = ",".join(
            f"runs/{_group(claim, row)}/{row.data}-{row.model}-{row.loss}-s{seed}"
            for row in dict.fromkeys(rows)
            for seed in seeds
        )
        yield f"python -m cage_lightning.evaluate -m data={on} checkpoint={folders}"


def _train(claim: Claim, rows: list[Row], seeds: range) -> str:
    data, models, losses = (list(dict.fromkeys(names)) for names in zip(*rows, strict=True))
    start = ""
    if "va" in losses:
        losses, start = [*losses, "combined"], " start=combined"
    elif data == [_EMOTIC] and claim.protocol == "paper":
        start = f" start=affectnet8 start_group={_group(claim, _BACKBONES_OF)}"
    ordered = [loss for loss in _LOSSES if loss in losses]
    return (
        f"python -m cage_lightning.train -m data={','.join(data)} model={','.join(models)} "
        f"loss={','.join(ordered)} protocol={claim.protocol}{start} "
        f"seed={','.join(map(str, seeds))} group={_group(claim, rows[0])}"
    )


def _group(claim: Claim, row: Row) -> str:
    """Runs of another protocol would have the same names."""
    table = "table8" if row.data == _EMOTIC else "table6"
    return table if claim.protocol == "paper" else f"{table}_{claim.protocol}"
