"""The settings `subgroups` and `groups_file` of the commands that score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig

from cage_lightning.errors import ConfigError, check_names
from cage_lightning.predictions.groups import Groups, GroupTable, read_groups
from cage_lightning.scores.subgroups import parts_of
from cage_lightning.system.paths import local_path, sha256_of


@dataclass(frozen=True)
class Subgroups:
    """What is asked for.

    Attributes:
        names: The groups whose values are scored.
        table: What else is known of the samples; None without `groups_file`.
    """

    names: Sequence[str]
    table: GroupTable | None

    @classmethod
    def asked(cls, config: DictConfig) -> Subgroups:
        """What the settings ask for.

        Raises:
            CageError: `subgroups` is no list of different names, or the file cannot be read.
        """
        names = check_names("subgroups", config.subgroups) or ()
        if len(set(names)) < len(names):
            raise ConfigError(f"subgroups={list(names)} names a group twice")
        if config.groups_file is None:
            return cls(names, None)
        return cls(names, read_groups(local_path("groups_file", config.groups_file)))

    def known(self, ids: npt.NDArray[np.str_], groups: Groups) -> Groups:
        """All that is known of samples with these ids, ``[N]``, and groups.

        Raises:
            CageError: The table does not fit them, or `parts_of` refuses one of the names.
        """
        if self.table is not None:
            groups = self.table.added_to(ids, groups)
        for name in self.names:
            parts_of(groups, name)
        return groups

    def tell(self, ids: npt.NDArray[np.str_]) -> None:
        """Log how many of these samples the table lacks, and how many it has besides."""
        if self.table is not None:
            self.table.tell(ids)

    @property
    def origin(self) -> dict[str, Any]:
        """Where the groups come from, as metrics.json records it; empty without a table."""
        if self.table is None:
            return {}
        return {"groups_file": {str(self.table.path): sha256_of(self.table.path)}}
