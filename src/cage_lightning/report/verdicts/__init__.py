"""Verdicts: what finished runs say about each number and claim of the paper.

`published` says what the paper prints, `evidence` what runs have of it, `rules` what follows, and
`commands` what would settle the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cage_lightning.report.published import Claim, Part, claims
from cage_lightning.report.runs import Run
from cage_lightning.report.verdicts.commands import settling
from cage_lightning.report.verdicts.evidence import Evidence
from cage_lightning.report.verdicts.rules import Finding, Verdict, combine, judge
from cage_lightning.system.markdown import Markdown, markdown_table

COLUMNS = ("the paper", "verdict", "why", "printed", "tolerance", "protocol", "runs", "settled by")
PROXY_NOTE = (
    "All of these runs are on drawn faces. They show that the suite works, and say nothing about "
    "photographs: no published number is tested by them, whatever they score."
)
SETTLING = (
    "What would settle the rest, by its number in the table; afterwards collect has to look into "
    "the groups of all these runs, as runs=runs does"
)
_SETTLED = (Verdict.REPRODUCED, Verdict.CONTRADICTED)
_SIGNS = {"equal": "", "at_least": "≥ ", "at_most": "≤ "}


@dataclass(frozen=True)
class Judged:
    """A claim with the verdict on it.

    Attributes:
        claim: What the paper says.
        findings: The verdict on each of its parts.
    """

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the whole."""
        return combine([finding.verdict for finding in self.findings])

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        sentences = _sentences(self.findings)
        if len({*sentences}) == 1:
            return f"{sentences[0][0].upper()}{sentences[0][1:]}."
        obstacles = {finding.obstacle for finding in self.findings}
        shared = obstacles.pop() if len(obstacles) == 1 else ""
        if shared:  # said once, at the end
            sentences = [finding.reason for finding in self.findings]
        named = zip(_labels(self.claim.parts), sentences, strict=True)
        text = "; ".join(f"{label}: {sentence}" for label, sentence in named)
        return f"{_with_obstacle(text, shared)}."

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that would settle it; none where it is settled."""
        if self.verdict in _SETTLED:
            return ()
        known = [finding.seeds.n for finding in self.findings if finding.seeds]
        return settling(self.claim, min(known) if len(known) == len(self.findings) else 0)

    @property
    def said(self) -> str:
        """What the paper says, and where."""
        claim = self.claim
        if not claim.quote:
            return f"{claim.source}: {claim.parts[0].definition}"
        return f"{claim.name}: “{claim.quote}” ({claim.source})"

    @property
    def printed(self) -> str:
        """The numbers that the paper prints."""
        sign = _SIGNS[self.claim.compare]
        return ", ".join(dict.fromkeys(f"{sign}{part.printed:g}" for part in self.claim.parts))

    @property
    def measured(self) -> str:
        """The means over the seeds; a dash for a part without a value, empty if all are."""
        means = [f"{f.seeds.mean:z.4g}" if f.seeds else "-" for f in self.findings]
        return ", ".join(means) if {*means} != {"-"} else ""

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows of verdicts.csv, one for each part."""
        claim = self.claim
        for part, finding in zip(claim.parts, self.findings, strict=True):
            seeds = finding.seeds
            yield {
                "claim": claim.name,
                "source": claim.source,
                "quote": claim.quote,
                "verdict": str(self.verdict),
                "reason": self.reason,
                "commands": " && ".join(self.commands),
                "definition": part.definition,
                "protocol": claim.protocol,
                "compare": claim.compare,
                "printed": part.printed,
                "tolerance": claim.tolerance,
                "seeds": seeds.n if seeds else 0,
                "mean": seeds.mean if seeds else None,
                "low": seeds.low if seeds else None,
                "high": seeds.high if seeds else None,
                "verdict_of_part": str(finding.verdict),
            }


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a table or figure: the claims of the text, then the numbers."""

    judged: Sequence[Judged]

    def __bool__(self) -> bool:
        """Whether the paper says anything there."""
        return bool(self.judged)

    @property
    def text(self) -> list[Judged]:
        """Those on what the text claims."""
        return [judged for judged in self.judged if judged.claim.quote]

    @property
    def numbers(self) -> list[Judged]:
        """Those on the numbers of the table."""
        return [judged for judged in self.judged if not judged.claim.quote]

    @property
    def proxy(self) -> bool:
        """Whether all runs are on drawn faces."""
        return {judged.verdict for judged in self.judged} == {Verdict.PROXY}

    @property
    def summary(self) -> str:
        """How many there are of each, in a line."""
        found = Counter(judged.verdict for judged in self.judged)
        each = ", ".join(f"{found[verdict]} {verdict}" for verdict in Verdict if found[verdict])
        return f"of {len(self.judged)} numbers and claims {each}"

    @cached_property
    def commands(self) -> list[str]:
        """The commands that would settle something, each once."""
        return list(dict.fromkeys(c for judged in self.judged for c in judged.commands))

    @property
    def numbered_commands(self) -> list[str]:
        """The same, each with the number that the column ``settled by`` names."""
        return [f"{command}  # {number}" for number, command in enumerate(self.commands, 1)]

    def cells(self, judged: Judged) -> list[str]:
        """What stands in `COLUMNS` for a verdict."""
        numbers = [str(self.commands.index(command) + 1) for command in judged.commands]
        return [
            Markdown(judged.said),  # of claims.yaml
            judged.verdict,
            judged.reason,
            judged.printed,
            f"{judged.claim.tolerance:g}",
            judged.claim.protocol,
            judged.measured,
            ", ".join(numbers),
        ]

    def records(self) -> list[dict[str, Any]]:
        """The rows of verdicts.csv."""
        return [record for judged in self.judged for record in judged.records()]

    def markdown(self) -> str:
        """A section for results.md."""
        table = markdown_table(COLUMNS, [self.cells(judged) for judged in self.judged])
        text = f"## What the paper says\n\nVerdicts: {self.summary}."
        text += f" **{PROXY_NOTE}**" * self.proxy + f"\n\n{table}"
        if self.commands:
            commands = "\n".join(self.numbered_commands)
            text += f"\n{SETTLING}:\n\n```bash\n{commands}\n```\n"
        return text


def verdicts(table: str, runs: Sequence[Run]) -> Verdicts:
    """Judge what the paper says by finished runs.

    Args:
        table: ``table6``, ``table7``, ``table8`` or ``figure11``; of others the paper says nothing.
        runs: All finished runs, at least one.

    A file of a run that cannot be read counts as one that is not there.
    """
    evidence = Evidence(runs)
    return Verdicts([_judged(claim, evidence) for claim in claims(table)])


def _judged(claim: Claim, evidence: Evidence) -> Judged:
    measured = ((part, evidence.of(part, claim.protocol)) for part in claim.parts)
    return Judged(claim, tuple(judge(claim, part, found) for part, found in measured))


def _sentences(findings: Sequence[Finding]) -> list[str]:
    return [_with_obstacle(finding.reason, finding.obstacle) for finding in findings]


def _with_obstacle(reason: str, obstacle: str) -> str:
    return f"{reason}, but {obstacle}" if obstacle else reason


def _labels(parts: Sequence[Part]) -> list[str]:
    """What tells the parts of a claim apart."""
    fields = [(*part.row, part.key) for part in parts]
    differing = [i for i, column in enumerate(zip(*fields, strict=True)) if len(set(column)) > 1]
    return [", ".join(names[i] for i in differing) for names in fields]
