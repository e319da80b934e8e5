"""Tables of one row for each sample, in any usual format and under any names of the columns."""

from cage_lightning.data.readers.table.columns import ROLES
from cage_lightning.data.readers.table.formats import SUFFIXES
from cage_lightning.data.readers.table.places import find_tables
from cage_lightning.data.readers.table.reader import Meaning, read_samples

__all__ = ["ROLES", "SUFFIXES", "Meaning", "find_tables", "read_samples"]
