"""A data set of the hub, with the pictures in its tables, from prepare to evaluate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cage_lightning.demo.faces import draw_face
from cage_lightning.predictions.files import read_predictions
from tests.conftest import Command
from tests.hub_service import Hub

NAMES = ["tense", "calm", "glad"]
DATA = ("data=table", "data.name=faces", "data.root=faces", "data.table=hf://me/faces")
LOADING = ("trainer=cpu", "data.num_workers=0", "data.batch_size=12")


def faces(split: str, first: int, count: int) -> bytes:
    """A table as `datasets` uploads it."""
    rows = []
    for k in range(first, first + count):
        file = io.BytesIO()
        Image.fromarray(draw_face(0, "val", k, 32).image).save(file, "PNG")
        rows.append({"bytes": file.getvalue(), "path": f"{split}{k}.png"})
    table = pa.table({"image": rows, "label": [k % 3 for k in range(count)]})
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    about = json.dumps({"info": {"features": features}})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), sink)
    return sink.getvalue()


@pytest.mark.slow
def test_from_the_hub_to_scores(command: Command, tmp_path: Path) -> None:
    with Hub.running() as service:
        Hub.files["datasets/me/faces"] = {
            "data/train-00000-of-00002.parquet": faces("train", 0, 12),
            "data/train-00001-of-00002.parquet": faces("train", 12, 12),
            "data/test-00000-of-00001.parquet": faces("test", 24, 12),
        }
        command("prepare", *DATA, **service, HF_HOME=str(tmp_path / "hf"))
    # From here on nothing is asked of the hub.
    model = ("model=tiny", "model.image_size=32", "trainer.max_epochs=1", "loss=discrete")
    command("train", *DATA, *LOADING, *model, "group=packed")
    command("train", *DATA[:-1], *LOADING, *model, "group=loose", "data.store=null")
    packed, loose = (tmp_path / f"runs/{g}/faces-tiny-discrete-s0" for g in ("packed", "loose"))
    command("evaluate", f"checkpoint={packed}", *DATA, *LOADING, "output=out")
    scores = [
        json.loads((folder / "metrics.json").read_text())
        for folder in (packed, loose, tmp_path / "out")
    ]
    keys = {key for key in scores[0] if key.startswith("test/")}
    first, *others = ({key: one[key] for key in keys} for one in scores)
    assert others == [first, first]
    predictions = read_predictions(tmp_path / "out/predictions.parquet")
    assert predictions.space.categories == tuple(NAMES)
    assert predictions.id[0] == ".pictures/data/test-00000-of-00001.parquet/00000001"
    command(
        "predict",
        f"checkpoint={packed}",
        "source='faces/.pictures/data/test*/*.png'",
        *("faces=none", "output=p.csv"),
    )
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 13
