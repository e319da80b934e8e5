"""Latency of one picture on one thread of a CPU in each form of a model, and what the form loses.

Run it by hand: ``python -m benchmarks.forms EXPORT maxvit``; it prints the table of
benchmarks/README.md. An argument is the folder of an export, whose forms were tested when it was
made, or the name of a network. The latter is random but for its last layer, which is fitted to
drawn faces by ridge regression: enough for outputs of a usual size and for decisions that can be
lost. The forms are timed in turn, each with some pictures one after the other, of which the first
finds the caches as the form before has left them and is not counted; the median CPU time of a
picture is printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.datasets import DemoFaces
from cage_lightning.deploy.description import Backbone, Description
from cage_lightning.deploy.folder import read_export
from cage_lightning.deploy.forms import FormName, make
from cage_lightning.deploy.loading import load
from cage_lightning.deploy.networks import Networks, Predictor
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.labels import AFFECTNET_8, OutputLayout
from cage_lightning.models import build_network
from cage_lightning.predictions.table import predictions_of
from cage_lightning.scores import point_estimate
from cage_lightning.system.machine import usable_cpus
from cage_lightning.system.markdown import markdown_table

NETWORKS = {"tiny": ("tiny", 64), "maxvit": ("maxvit_t", 224)}
FORMS: tuple[FormName, ...] = (
    *("onnx", "onnx_batch1", "openvino", "openvino_bf16", "openvino_int8"),
)
PICTURES, QUANTISED, RIDGE = 96, 48, 1e-2
ROUNDS, IN_A_ROW = 8, 4
SCORES = ("accuracy", "ccc_valence", "rmse_valence")
LAYOUT = OutputLayout(AFFECTNET_8, categories=True, affect=True)


def splits(root: Path) -> tuple[Annotations, Annotations]:
    source = DemoFaces(
        size="tiny",
        release="auto",
        label_space="affectnet8",
        root=str(root),
        store=None,
        on_error="raise",
    )
    rng = np.random.default_rng(0)
    tables = (source.own_split(name) for name in ("train", "test"))
    train, test = (t.select(rng.permutation(len(t))[:PICTURES]) for t in tables)
    return train, test


def inputs(table: Annotations, preprocessing: Preprocessing) -> Tensor:
    from cage_lightning.data.images import decode_image

    size = preprocessing.image_size
    images = [decode_image(table.picture(row), size) for row in range(len(table))]
    return preprocessing.normalise(torch.stack(images))


def fit_last_layer(network: nn.Module, images: Tensor, table: Annotations) -> None:
    """Ridge regression of one-hot categories (times 6, about as large as logits are) and affect."""
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    features: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, taken: features.append(taken[0]))
    for part in images.split(8):
        network(part)
    hook.remove()
    x = torch.cat(features).double()
    target = torch.cat(
        [
            6 * nn.functional.one_hot(torch.from_numpy(table.category), 8),
            torch.from_numpy(table.affect),
        ],
        dim=1,
    ).double()
    scale = x.square().mean()
    gram = x.T @ x + RIDGE * len(x) * scale * torch.eye(x.shape[1])
    last.weight.copy_(torch.linalg.solve(gram, x.T @ target).T)
    if last.bias is not None:
        last.bias.zero_()


def scores(
    predictor: Predictor, images: Tensor, table: Annotations
) -> tuple[dict[str, float], Tensor]:
    outputs = torch.cat([predictor(part) for part in images.split(8)])
    prediction = LAYOUT.read(outputs.numpy())
    return point_estimate(
        predictions_of(
            *(AFFECTNET_8, prediction.logits, prediction.affect),  # type: ignore[arg-type]
            *(AFFECTNET_8, table.id, table.category, table.affect),  # type: ignore[arg-type]
        )
    ), outputs


def latencies(rivals: Mapping[str, Predictor], image: Tensor) -> dict[str, float]:
    """Seconds of CPU time for one picture."""
    costs: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(ROUNDS + 1):
        for name, predictor in rivals.items():
            for picture in range(IN_A_ROW):
                start = time.process_time()
                predictor(image)
                if turn and picture:  # the first round warms up
                    costs[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in costs.items()}


@torch.no_grad()
def rows(network_name: str, train: Annotations, test: Annotations, folder: Path) -> list[list[str]]:
    name, size = NETWORKS[network_name]
    torch.manual_seed(0)
    network = build_network(name, LAYOUT.width, weights="none", image_size=size).eval()
    description = Description(LAYOUT, Backbone(name), Preprocessing(size))
    seen, unseen = (inputs(table, description.preprocessing) for table in (train, test))
    torch.set_num_threads(usable_cpus())
    fit_last_layer(network, seen, train)
    torch.set_num_threads(1)
    eager = Networks([network], LAYOUT).eval()
    rivals: dict[str, Predictor] = {"eager": eager}
    for form in FORMS:
        rivals[form] = make(form, folder, description, eager, lambda: seen[:QUANTISED])
    cost = latencies(rivals, unseen[:1])
    base, expected = scores(eager, unseen, test)
    found = []
    for rival, predictor in rivals.items():
        own, outputs = scores(predictor, unseen, test)
        shown = [f"{cost[rival] * 1e3:.2f}", f"{cost[rival] / cost['eager']:.2f}"]
        for key in SCORES:
            shown.append(f"{own[key]:.3f} ({own[key] - base[key]:+.4f})")
        largest = (outputs - expected).abs().max().item()
        found.append([network_name, rival, *shown, f"{largest:.1e}"])
    return found


def rows_of_export(folder: Path) -> list[list[str]]:
    """The rows of an export; its scores are those of the test split that it was tested on."""
    export = read_export(folder)
    eager = load(folder).predictor
    rivals = {"eager": eager} | {
        name: load(folder / form["file"]).predictor
        for name, form in export.forms.items()
        if name in FORMS
    }
    size = export.description.preprocessing.image_size
    with torch.no_grad():
        cost = latencies(rivals, torch.randn(1, 3, size, size))
    backbone = export.description.backbone
    found = []
    for name in rivals:
        shown = [f"{cost[name] * 1e3:.2f}", f"{cost[name] / cost['eager']:.2f}"]
        for key in SCORES:
            own = export.scores[f"test/{key}"]
            change = 0.0
            if name in export.forms:
                changes = export.forms[name]["against_pytorch"][key]
                own, change = changes["b"], changes["difference"]
            shown.append(f"{own:.3f} ({change:+.4f})")
        largest = export.forms.get(name, {}).get("largest_difference", 0.0)
        found.append([backbone.name if backbone else "", name, *shown, f"{largest:.1e}"])
    return found


def main() -> None:
    torch.set_num_threads(1)
    table = []
    with tempfile.TemporaryDirectory() as work:
        for name in sys.argv[1:]:
            if Path(name).is_dir():
                table += rows_of_export(Path(name))
                continue
            folder = Path(work) / name
            folder.mkdir()
            table += rows(name, *splits(Path(work) / "faces"), folder)
    heading = ["network", "form", "ms", "ratio", *SCORES, "largest"]
    print(markdown_table(heading, table, right=range(2, 8)), end="")


if __name__ == "__main__":
    main()
