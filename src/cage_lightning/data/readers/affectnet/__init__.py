"""AffectNet, from whichever of its releases lies on disk, as one annotation table.

`read_affectnet` finds the release and checks its annotations; each release is a module of its own
that knows where its files lie and what is in them (`release` holds what they have in common).
"""

from cage_lightning.data.readers.affectnet.reader import RELEASES, read_affectnet
from cage_lightning.data.readers.affectnet.release import CODES

__all__ = ["CODES", "RELEASES", "read_affectnet"]
