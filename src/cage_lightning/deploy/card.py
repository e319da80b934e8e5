"""The model card: README.md of an export, with the front matter that the hub reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cage_lightning.deploy.description import Description
from cage_lightning.labels import LabelSpace
from cage_lightning.scores.results import best_baseline
from cage_lightning.system.markdown import Markdown, markdown_table

_MAIN = {
    "accuracy": "accuracy",
    "f1_macro": "F1 (macro)",
    "map": "mAP",
    "ece": "calibration error",
    "ccc": "CCC",
    "rmse": "RMSE",
}


def card(
    description: Description,
    members: int,
    forms: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Any],
    made_by: Mapping[str, Any],
) -> str:
    """The text of a model card.

    Args:
        description: What the model is.
        members: The number of networks whose outputs are averaged.
        forms: As config.json has them.
        scores: Likewise.
        made_by: Likewise.
    """
    parts = [
        _front_matter(description),
        _introduction(description, members, made_by),
        _use(description),
        _scores(scores),
        _by_category(description.label_space, scores),
        _calibration(description, scores),
        _forms(forms),
        _limits(description.label_space),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(description: Description) -> str:
    layout = description.layout
    tags = ["expression-inference", "facial-expression-recognition", "pytorch"]
    metrics = []
    if layout.categories:
        metrics += ["mean_average_precision" if layout.space.multi_label else "accuracy", "f1"]
    if layout.affect:
        tags += [*layout.space.dimensions]
        metrics += ["concordance_correlation_coefficient", "rmse"]
    lines = [
        "library_name: cage-lightning",
        "pipeline_tag: image-classification",
        "license: other",
        f"tags: {json.dumps(tags)}",
        f"metrics: {json.dumps(metrics)}",
    ]
    return "\n".join(["---", *lines, "---", ""])


def _introduction(description: Description, members: int, made_by: Mapping[str, Any]) -> str:
    space, layout = description.label_space, description.layout
    what = []
    if layout.categories:
        several = "of which several may apply" if space.multi_label else "of which one applies"
        what.append(f"{len(space.categories)} categories, {several}")
    if layout.affect:
        what.append(" and ".join(space.dimensions))
    backbone = description.backbone
    network = "A network" if backbone is None else f"`{backbone.name}`"
    if members > 1:
        network = f"An ensemble of {members} networks `{backbone.name if backbone else ''}`"
    trained = made_by["trained_with"]
    named = ", ".join(f"{key} {value}" for key, value in trained.items())
    revision = made_by.get("git_revision")
    return f"""# Expression inference: {space.name}

{network} that infers from the picture of a face or person: {"; ".join(what)}.
Made with cage_lightning{f", revision `{revision}`" if revision else ""}.

## Data

Trained with: {named or "not known"}.
Tested on the test split of `{made_by["tested_on"]["data"]}`. The data are not part of this folder;
their licence may bind what is done with the model. The licence of the model is for its owner to
say: it stands as `other` above.
"""


def _use(description: Description) -> str:
    p, layout = description.preprocessing, description.layout
    columns = [*layout.space.categories] * layout.categories
    columns += [*layout.space.dimensions] * layout.affect
    order = ", ".join(f"{i} {name}" for i, name in enumerate(columns))
    activation = "sigmoid" if layout.space.multi_label else "softmax"
    logits = (
        f" Categories are logits: {activation} gives probabilities." if layout.categories else ""
    )
    affect = " Affect is on the scale [-1, 1]." if layout.affect else ""
    return f"""## How to use it

```python
from cage_lightning import ExpressionModel

model = ExpressionModel.load("FOLDER")
model.predict(["face.jpg"]).to_arrow()
```

Preprocessing: RGB; the box of the face, widened on each side by {p.margin:g} of its width and
height; resized to {p.image_size} x {p.image_size} pixels (bilinear, antialiased) without regard to
the aspect ratio; divided by 255; minus the mean {list(p.mean)}, divided by {list(p.std)}, per
channel.

Outputs, by column: {order}.{logits}{affect}
"""


def _scores(scores: Mapping[str, Any]) -> str:
    rows = [
        [label, _number(scores[key]), _interval(scores["intervals"].get(key)), baseline]
        for key, label in _main_keys(scores)
        for baseline in [_best_baseline(scores, key.partition("/")[2])]
    ]
    confidence = scores["meta"]["scores"]["confidence"]
    heading = ["score", "value", f"{confidence:.0%} interval", "best baseline"]
    return (
        f"## Scores on the test split\n\n{int(scores['test/n'])} samples; intervals by bootstrap. "
        "A baseline does not look at the picture.\n\n"
        + markdown_table(heading, rows, right=(1, 2, 3))
    )


def _by_category(space: LabelSpace, scores: Mapping[str, Any]) -> str:
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "ap": "average precision"}
    used = {
        key: label
        for key, label in names.items()
        if any(f"test/{key}_{category}" in scores for category in space.categories)
    }
    if not used:
        return ""
    rows = []
    for category in space.categories:
        row = [category]
        for key in used:
            name = f"test/{key}_{category}"
            interval = _interval(scores["intervals"].get(name))
            row.append(f"{_number(scores.get(name))} ({interval})" if interval else "")
        rows.append(row)
    right = range(1, len(used) + 1)
    return "### By category\n\n" + markdown_table(["category", *used.values()], rows, right)


def _calibration(description: Description, scores: Mapping[str, Any]) -> str:
    found, changes = description.calibration, scores.get("calibration")
    if found is None or changes is None:
        return ""
    fitted = []
    if description.layout.categories:
        fitted.append(f"a temperature of {found.temperature:.3f}")
    if description.layout.affect:
        lines = zip(description.label_space.dimensions, found.scale, found.shift, strict=True)
        fitted += [f"{name} = {a:.3f} x + {b:.3f}" for name, a, b in lines]
    return (
        f"## Calibration\n\nFitted on the split that chose the epoch: {', '.join(fitted)}. It is "
        "part of every form.\n\n"
        + markdown_table(
            ["score", "before", "after", "change", "interval"],
            [_change(key, d) for key, d in changes.items()],
            right=range(1, 5),
        )
    )


def _forms(forms: Mapping[str, Mapping[str, Any]]) -> str:
    if not forms:
        return ""
    rows = [
        [name, Markdown(f"`{form['file']}`"), form["input"], form["precision"], _small(form)]
        for name, form in forms.items()
    ]
    heading = ["form", "file", "input", "precision", "largest difference of an output"]
    changed = [key for key in next(iter(forms.values()))["against_pytorch"] if "pooled" not in key]
    changes = [
        [name, *(_compact(form["against_pytorch"][key]) for key in changed)]
        for name, form in forms.items()
    ]
    kept = [
        f"\n**{name} {form['beyond_limit']}.** It was kept on request.\n"
        for name, form in forms.items()
        if form["beyond_limit"]
    ]
    return (
        "## Other forms\n\nEach was run on the whole test split beside the PyTorch model.\n\n"
        + markdown_table(heading, rows, right=(4,))
        + "\nWhat a form adds to the scores of the PyTorch model, with the paired interval:\n\n"
        + markdown_table(
            ["form", *(key.replace("_", " ") for key in changed)],
            changes,
            right=range(1, len(changed) + 1),
        )
        + "".join(kept)
    )


def _limits(space: LabelSpace) -> str:
    who = "persons in their surroundings" if space.name == "emotic" else "faces"
    return f"""## Intended use and limits

For research on how people see expressions in pictures of {who}, and for tools whose users have
agreed to it. The labels are what annotators saw, and the model estimates what such people would say
of a picture: affect is inferred, not read. What a person feels or intends cannot be known from it.

* Annotators disagree, and so do cultures. The scores above are averages over one test split: other
  cameras, ages, skin tones, poses and lights give other ones, mostly worse.
* Not for decisions about people: hiring, teaching, insurance, police, border control, diagnosis.
* People who are shown have to know and to consent. Pictures of faces are personal data, and in many
  places biometric data.
* In the European Union, Article 5(1)(f) of the AI Act (Regulation (EU) 2024/1689) prohibits systems
  that infer emotions of people at work or in education, except for medical or safety reasons. Other
  systems that recognise emotions are of high risk, and people exposed to them have to be told.
"""


def _main_keys(scores: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and label of the main scores that are there."""
    for key in scores:
        split, _, metric = key.partition("/")
        name, _, dimension = metric.partition("_")
        if split != "test":
            continue
        if metric in _MAIN:
            yield key, _MAIN[metric]
        elif name in _MAIN and "_" not in dimension:
            yield key, f"{_MAIN[name]} {dimension}"


def _best_baseline(scores: Mapping[str, Any], metric: str) -> str:
    best = best_baseline(scores, metric)
    return "" if best is None else f"{_number(best[1])} ({best[0]})"


def _change(key: str, d: Mapping[str, float]) -> list[str]:
    return [
        key.replace("_", " "),
        _number(d["a"]),
        _number(d["b"]),
        f"{d['difference']:+.4f}",
        f"{d['low']:+.4f} to {d['high']:+.4f}",
    ]


def _compact(d: Mapping[str, float]) -> str:
    return f"{d['difference']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f})"


def _small(form: Mapping[str, Any]) -> str:
    return f"{form['largest_difference']:.1e}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(limits: Any) -> str:
    return "" if limits is None else f"{limits[0]:.3f} to {limits[1]:.3f}"
