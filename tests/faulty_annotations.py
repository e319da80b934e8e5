"""Faulty annotations by the hundred, in every layout, the same ones each time."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from scipy.io import savemat

from cage_lightning.labels import EMOTIC
from tests.affectnet_layouts import HEADER_2017, Row, entry_plus, fields_2017
from tests.faulty_pictures import wrong_type

GOOD = (Row(0, 1, 0.5, 0.25), Row(1, 2, -0.5, 0.125))
SOMEONE = {
    "Folder": "mscoco/images",
    "Filename": "a.jpg",
    "Image Size": "[24, 24]",
    "BBox": "[1, 2, 11, 22]",
    "Categorical_Labels": "['Peace', 'Fear']",
    "Continuous_Labels": "[7, 3, 5]",
    "Gender": "Male",
    "Age": "Kid",
}
SCENE: dict[str, Any] = {
    "filename": "a.jpg",
    "folder": "mscoco/images",
    "image_size": {"n_col": 24, "n_row": 24},
    "person": {
        "body_bbox": [[1, 2, 11, 22]],
        "annotations_categories": {"categories": np.array([["Peace"]], object)},
        "annotations_continuous": {"valence": 7, "arousal": 3, "dominance": 5},
        "gender": "Male",
        "age": "Kid",
    },
}


class Fault(NamedTuple):
    """`content` in place of a file of a sound release.

    The error must match `says`; with `left_out`, the row is counted under that reason instead.
    """

    kind: str
    file: str
    content: bytes
    says: str
    left_out: str = ""


def text(rng: random.Random) -> str:
    """No number, or one that is no code, affect, edge of a box or number of a picture."""
    words = ["", " ", "nan", "inf", "-inf", "1e999", "1.5.2", "0x10", "--1", "None", "[]", "True"]
    letters = "".join(rng.choices("abcxyzäπ語😀'\"#;% ", k=rng.randrange(3, 12)))
    number = rng.choice([-1, 1]) * (10 ** rng.uniform(1.1, 15) // 1 + 0.5)
    return rng.choice([rng.choice(words), letters, letters, repr(number), repr(number)])


def table(rows: Sequence[Sequence[Any]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def broken_list(
    rng: random.Random, rows: Sequence[Sequence[Any]], any_dialect: bool = False
) -> tuple[str, bytes]:
    """Kind and content of a list that is no table of these columns any more.

    With `any_dialect`, what a program may write in place of commas and UTF-8 is none of them.
    """
    whole = table(rows)
    last = whole.rstrip().rpartition(b"\r\n")[2]
    above = whole.rstrip()[: -len(last)]
    encodings = ["utf-32", "cp037"] if any_dialect else ["utf-16", "utf-32", "cp037"]
    separators = [b" ", b"/"] if any_dialect else [b";", b"\t", b"|", b" "]
    cut, count = rng.randrange(1, last.rindex(b",")), rng.randrange(1, 9)
    return rng.choice(
        [
            ("truncated", above + last[:cut]),
            ("truncated", above + last[:cut]),
            ("zero bytes", bytes(rng.randrange(500))),
            ("zero bytes", above + bytes(rng.randrange(1, 500))),
            ("wrong type", wrong_type(rng).content),
            ("wrong type", whole.decode().encode(rng.choice(encodings))),
            ("wrong type", whole.replace(b",", rng.choice(separators))),
            ("absurd row", whole + rng.choice([b"\xff", b"\xc3\x28"]) * rng.randrange(1, 99)),
            ("absurd row", table([*rows, [*rows[-1], *rng.choices("abc", k=count)]])),
            ("absurd row", table([*rows, rows[-1][: rng.randrange(1, len(rows[0]))]])),
            ("huge dimensions", whole + b"9" * rng.randrange(131_073, 140_000)),
        ]
    )


def escaping(rng: random.Random) -> str:
    """A path that leads out of the release; at many of them lies a picture."""
    secret, up, n = "outside/secret.jpg", "../" * rng.randrange(1, 7), rng.randrange(9999)
    return rng.choice(
        [
            *(f"{up}{secret}", f"1/../{up}{secret}", f"{n}/../{up}{secret}", f"./{up}{secret}"),
            *(f"/{secret}", f"/tmp/{n}/{secret}", f"..\\..\\outside\\{n}.jpg", f"C:\\{n}.jpg"),
            *(f"{n}/..", f"{n}//a.jpg", f"{n}.jpg\0", f"\0{n}/{up}{secret}"),
        ]
    )


def outside(rng: random.Random) -> str:
    """A folder out of the release, with a picture at many of them."""
    return rng.choice(["..", "../" * rng.randrange(1, 7) + "outside", f"..\\{rng.randrange(999)}"])


def npy(rng: random.Random) -> Fault:
    def of(value: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, value)
        return file.getvalue()

    def headed(header: bytes) -> bytes:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(99)

    value, n = rng.uniform(11, 1e6), rng.randrange(1, 9999)
    good = of(np.array(rng.choice(["0.25", 0.25])))
    shape = (rng.randrange(1 << 20, 1 << 80), rng.randrange(1 << 20, 1 << 40))
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"
    kind, content = rng.choice(
        [
            *2 * [("absurd row", of(np.array(text(rng))))],
            ("absurd row", of(np.array(rng.choice([value, -value, math.nan, math.inf])))),
            ("absurd row", of(np.full(rng.randrange(2, 9), value))),
            ("wrong type", of(np.array(value + 1j))),
            ("wrong type", of(np.array(n, "M8[s]"))),
            ("wrong type", of(np.array((1, value), [("a", int), ("b", float)]))),
            ("wrong type", wrong_type(rng).content),
            ("wrong type", headed(b"-" * n + b"1")),
            ("wrong type", headed(b"({[" * (n // 3))),
            ("wrong type", headed(rng.randbytes(n % 60))),
            *2 * [("truncated", good[: rng.randrange(1, len(good))])],
            ("zero bytes", bytes(n % 300)),
            ("huge dimensions", headed(header.encode())),
        ]
    )
    name = f"1_{rng.choice(['exp', 'val', 'aro'])}.npy"
    return Fault(kind, f"train_set/annotations/{name}", content, name)


def annotation_csv(rng: random.Random) -> Fault:
    name = "train_set_annotation_without_lnd.csv"
    rows: list[list[Any]] = [list(Row._fields), list(GOOD[0]), list(GOOD[1])]
    if rng.random() < 0.3:
        kind, content = broken_list(rng, rows, any_dialect=True)
        return Fault(kind, f"affectnet_annotations/{name}", content, name)
    rows[2][rng.randrange(4)] = text(rng)
    says = f"{name}(, line 3: |, number 1: |: number .* is not the number)"
    return Fault("absurd row", f"affectnet_annotations/{name}", table(rows), says)


def affectnet2017(rng: random.Random) -> Fault:
    file = "Manually_Annotated_file_lists/training.csv"
    rows = [list(HEADER_2017), *(fields_2017(row) for row in GOOD)]
    kind, left_out, n = "absurd row", "", rng.randrange(1, 999)
    match rng.randrange(5):
        case 0:
            kind, content = broken_list(rng, rows)
            return Fault(kind, file, content, "training.csv")
        case 1:
            kind, rows[2][0] = "path outside", escaping(rng)
        case 2:
            rows[2][rng.randrange(6, 9)] = text(rng)
        case 3:
            rows[2][rng.randrange(1, 5)] = rng.choice(["", f"{n} px", f"[{n}]", f"{n},5"])
        case 4:
            left_out = "no face box"
            size = rng.choice(["nan", "-inf", f"1e{n + 38}", f"-1e{n}", f"-{n}", "0"])
            rows[2][1], rows[2][rng.randrange(3, 5)] = f"{n}", size
    return Fault(kind, file, table(rows), "" if left_out else "training.csv, line 3: ", left_out)


def affectnet_plus(rng: random.Random) -> Fault:
    entry, n = entry_plus(GOOD[1]), rng.randrange(11, 999)
    whole = json.dumps(entry).encode()
    value: Any = rng.choice(
        [text(rng), None, True, False, [], {}, [0.5], {"a": n}, math.nan, math.inf, -n, n, 10**n]
    )
    kind, content = "absurd row", None
    match rng.randrange(7):
        case 0:
            entry[rng.choice(["human-label", "subset", "meta-data", "soft-label"])] = value
        case 1:
            entry["meta-data"][rng.choice(["valence", "arousal"])] = value
        case 2:
            soft: list[Any] = [rng.random() for _ in range(8)]
            soft[n % 8] = rng.choice(["x", None, True, math.nan, 1e39, 10**999, []])
            entry["soft-label"] = rng.choice([soft, soft, soft[:7], [*soft, 1], f"{n:08}"])
        case 3:
            del entry[rng.choice(["human-label", "soft-label", "subset", "meta-data"])]
            entry["age"] = n
        case 4:
            kind, content = "truncated", whole[: rng.randrange(1, len(whole))]
        case 5:
            kind, content = "zero bytes", bytes(n)
        case 6:
            nested = rng.choice([b"[", b'{"a":']) * 9 * n
            kind, content = "wrong type", rng.choice([wrong_type(rng).content, nested, b"%d" % n])
    content = json.dumps(entry).encode() if content is None else content
    file = "human_annotated/train_set/annotations/1.json"
    return Fault(kind, file, content, r"annotations/1\.json: ")


def class_folders(rng: random.Random) -> Fault:
    name = "".join(rng.choices("abcxyz ,;'äπ語😀", k=rng.randrange(1, 30)))
    kind, file, says = rng.choice(
        [
            ("absurd row", f"train/{name}{name[0]}/a.jpg", "is not the name of a category"),
            (
                "absurd row",
                f"train/{rng.randrange(8, 9999)}/a.jpg",
                "is not the name of a category",
            ),
            ("wrong type", f"train/Neutral/{name}/a.jpg", "holds no folders"),
            ("path outside", f"train/Neutral/{name}\\..\\a.jpg", "not a path below"),
            ("wrong type", f"train/Neutral/{name}\udcff\udc80.jpg", "not a path below"),
        ]
    )
    return Fault(kind, file, b"", says)


def python_text(rng: random.Random) -> str:
    """No list of numbers, or none of the right ones."""
    n = rng.randrange(11, 9999)
    a, b, c, d = (rng.choice([0, -1, 1]) * n for _ in range(4))
    digits = "".join(rng.choices("123456789", k=rng.choice([2, 3, 4])))
    return rng.choice(
        [
            *("", "[]", "nan", "[nan, inf, 1]", "None", f"{n}", f"{{{n}: 1}}", f"[{n}"),
            *3 * [f"'{digits}'"],
            *(f"[{a}, '{b}x', {c}, {d}]", f"[{a}]", f"[{a}, {b}, {c}, {d}, {n}]", f"[{n}] * 9"),
            *(f"[1e999, -{n}, None]", f"[{n}j, 1, 1]", f"[1, 1, 1{n * '0'}]", f"print({n})"),
            *("[" * n, "-" * n * 9 + "1", "(" * 150 + f"{n}", f"[1, 1, [{n}]]", f"[1, None, {-n}]"),
        ]
    )  # fmt: skip


def emotic_csv(rng: random.Random) -> Fault:
    header = ["Index", *SOMEONE]
    bad: list[Any] = [1, *(SOMEONE | {"Filename": "b.jpg"}).values()]
    rows: list[list[Any]] = [header, [0, *SOMEONE.values()], bad]
    kind, left_out, column = "absurd row", "", rng.choice(header[1:7])
    n = rng.randrange(1, 9999)
    if rng.random() < 0.2:
        kind, content = broken_list(rng, rows)
        return Fault(kind, "emotic_pre/train.csv", content, r"train\.csv|no person is left")
    if rng.random() < 0.15:
        column, value, left_out = rng.choice(
            [
                ("BBox", f"[{n + 24}, 0, {n + 99}, 9]", "box outside the picture"),
                ("BBox", f"[{n}, 9, 0, 0]", "box outside the picture"),
                ("Categorical_Labels", rng.choice(["[]", "()", "[ ]"]), "no category"),
                ("Continuous_Labels", "[nan, 1, 1]", "no valence, arousal or dominance"),
            ]
        )
    elif column == "Filename":
        kind, value = "path outside", escaping(rng)
    elif column == "Folder":
        kind, value = "path outside", rng.choice(["", f"{n}/", "mscoco/"]) + outside(rng)
    elif column == "Categorical_Labels":
        word = "".join(rng.choices("abcxyzäπ語😀", k=9))
        value = rng.choice([f"['{word}']", f"'{word}'", f"['Peace', {n}]", "'Peace'", f"[[{n}]]"])
    else:
        value = python_text(rng)
    bad[header.index(column)] = value
    says = "" if left_out else r"train\.csv, line 3: "
    return Fault(kind, "emotic_pre/train.csv", table(rows), says, left_out)


def mat(content: Any, compressed: bool = True) -> bytes:
    file = io.BytesIO()
    savemat(file, {"train": content}, do_compression=compressed)
    # Its first 116 bytes are free text, into which savemat writes the time.
    return b"MATLAB 5.0 MAT-file".ljust(116) + file.getvalue()[116:]


def emotic_mat(rng: random.Random) -> Fault:
    n, compressed = rng.randrange(11, 9999), rng.random() < 0.5
    picture = deepcopy(SCENE)
    person, whole = picture["person"], mat(picture, compressed)
    no_number = rng.choice([math.nan, math.inf, -n, 1e30, f"{n} px", {"a": n}, [], 0])
    says, kind, content = r"Annotations\.mat, train\(1\)", "absurd row", None
    match rng.randrange(9):
        case 0:
            picture["filename"], kind = escaping(rng).replace("\0", "/"), "path outside"
        case 1:
            picture["folder"], kind = outside(rng), "path outside"
        case 2:
            picture["image_size"][rng.choice(["n_col", "n_row"])] = no_number
        case 3:
            person["body_bbox"] = rng.choice(
                [[[n]], [[1, n]], [[n, 1, math.nan, n]], f"[{n}]", {"a": n}, [[1, 2, math.inf, n]]]
            )
        case 4:
            names = np.array([["Peace", rng.choice([f"Joy {n}", "", n, [n, n]])]], object)
            person["annotations_categories"]["categories"] = names
        case 5:
            key = rng.choice(list(EMOTIC.dimensions))
            person["annotations_continuous"][key] = rng.choice([n, -n, math.inf, f"{n}", {"a": n}])
        case 6:
            place = rng.choice([person, picture])
            del place[rng.choice([key for key in place if key not in ("gender", "age")])]
            person["age"] = f"{n}"
        case 7:
            kind, content = "truncated", whole[: rng.randrange(1, len(whole) - 8)]
        case 8:
            kind, content = rng.choice(
                [
                    ("zero bytes", bytes(n)),
                    ("wrong type", wrong_type(rng).content),
                    ("wrong type", b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n%d" % n),
                    ("wrong type", mat(rng.choice([n, f"{n}", [n, n]]))),
                    ("huge dimensions", whole[:136] + rng.randbytes(8) + whole[144:]),
                ]
            )
    if content is not None:
        says = r"Annotations\.mat"
    return Fault(kind, "Annotations/Annotations.mat", content or mat(picture, compressed), says)


GENERATORS: dict[str, Callable[[random.Random], Fault]] = {
    "affectnet2021": npy,
    "csv": annotation_csv,
    "affectnet2017": affectnet2017,
    "affectnet_plus": affectnet_plus,
    "folders": class_folders,
    "emotic csv": emotic_csv,
    "emotic mat": emotic_mat,
}


def faults(layout: str, count: int) -> list[Fault]:
    """`count` faults of a layout, no two the same."""
    rng = random.Random(layout)
    found: dict[Any, Fault] = {}
    while len(found) < count:
        fault = GENERATORS[layout](rng)
        found[fault.file, fault.content] = fault
    return list(found.values())
