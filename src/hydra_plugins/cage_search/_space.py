"""What a search chooses from: Hydra's sweeps as distributions of Optuna."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    RangeSweep,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from cage_lightning.errors import ConfigError

_LOG = "log"

Value = str | float
"""A number, or a choice as it is written on the command line."""


@dataclass(frozen=True)
class Space:
    """What a search sets.

    Attributes:
        fixed: The overrides that all trials share.
        searched: The other settings as they were typed, by key.
        distributions: The same, as Optuna has them.
    """

    fixed: tuple[str, ...]
    searched: Mapping[str, str]
    distributions: Mapping[str, BaseDistribution]

    def overrides(self, chosen: Mapping[str, Value]) -> list[str]:
        """The overrides of a trial: what all share, and what was chosen for it."""
        return [*self.fixed, *(f"{key}={value}" for key, value in chosen.items())]

    def example(self) -> dict[str, Value]:
        """Some values of all settings."""
        return {key: _first(one) for key, one in self.distributions.items()}

    def grid(self) -> list[dict[str, Value]]:
        """Every combination, the last key fastest.

        Raises:
            ConfigError: Some setting has no finite number of values.
        """
        values = [_values(key, one) for key, one in self.distributions.items()]
        return [
            dict(zip(self.distributions, one, strict=True)) for one in itertools.product(*values)
        ]


def space_of(overrides: Sequence[Override]) -> Space:
    """Read what is searched, sorted by key: the order in which it is typed changes nothing.

    Args:
        overrides: Those of the sweep; of two with one key the later one counts.

    Raises:
        ConfigError: Nothing is searched, or a sweep cannot be.
    """
    by_key = {override.get_key_element(): override for override in overrides}
    swept = {key: by_key[key] for key in sorted(by_key) if by_key[key].is_sweep_override()}
    if not swept:
        raise ConfigError(
            "hydra/sweeper=optuna: nothing is searched; give a setting a space, such as "
            "'optimizer.lr=tag(log,interval(1e-5,1e-3))'"
        )
    return Space(
        tuple(_typed(one) for key, one in by_key.items() if key not in swept),
        {key: _typed(one).partition("=")[2] for key, one in swept.items()},
        {key: _distribution(one) for key, one in swept.items()},
    )


def _typed(override: Override) -> str:
    line = override.input_line
    assert line is not None, "it was parsed from a line"
    return line


def _distribution(override: Override) -> BaseDistribution:
    try:
        return _read(override, override.value())
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"{override.input_line}: {error}") from error


def _read(override: Override, sweep: Any) -> BaseDistribution:
    if unknown := sorted(getattr(sweep, "tags", set()) - {_LOG}):
        raise ConfigError(f"there is no tag {unknown[0]}; tag(log,...) is the only one")
    if getattr(sweep, "shuffle", False):
        raise ConfigError("a search has an order of its own: leave shuffle(...) away")
    if isinstance(sweep, IntervalSweep):
        return _interval(sweep)
    if isinstance(sweep, RangeSweep):
        return _range(sweep)
    assert isinstance(sweep, ChoiceSweep | Glob), "Hydra has no other sweeps"
    if isinstance(sweep, ChoiceSweep) and sweep.tags:
        raise ConfigError("tag(log,...) is for interval(...) and range(...)")
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None, "Hydra's grammar asks for both"
    log = _LOG in sweep.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _range(sweep: RangeSweep) -> BaseDistribution:
    values, step, log = list(sweep.range()), abs(sweep.step), _LOG in sweep.tags
    if not values:
        raise ConfigError("the range is empty")
    if all(isinstance(value, int) for value in values):
        return IntDistribution(int(min(values)), int(max(values)), log, int(step))
    if log:
        raise ConfigError("a range(...) on a log scale is one of whole numbers; use interval(...)")
    return FloatDistribution(float(min(values)), float(max(values)), step=float(step))


def _first(distribution: BaseDistribution) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return str(distribution.choices[0])
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low: float = distribution.low
    return low


def _values(key: str, distribution: BaseDistribution) -> Sequence[Value]:
    if isinstance(distribution, CategoricalDistribution):
        return [str(choice) for choice in distribution.choices]
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        raise ConfigError(
            f"{key}: hydra.sweeper.sampler=grid needs choice(...) or range(...), an interval has "
            "no end of values"
        )
    low, high, step = (
        Decimal(str(x)) for x in (distribution.low, distribution.high, distribution.step)
    )
    return [float(low + number * step) for number in range(int((high - low) / step) + 1)]
