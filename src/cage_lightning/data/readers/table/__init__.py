"""Tables of one row for each sample, in any usual format and under any names of the columns."""

from cage_lightning.data.readers.table.columns import ROLES
from cage_lightning.data.readers.table.formats import SUFFIXES, tables_in
from cage_lightning.data.readers.table.reader import Meaning, read_samples

__all__ = ["ROLES", "SUFFIXES", "Meaning", "read_samples", "tables_in"]
