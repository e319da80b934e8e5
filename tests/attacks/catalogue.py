"""The attacks that were tried: what each tries, what reads it, what comes of it, and its test.

``python -m tests.attacks.catalogue`` writes README.md from this list.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from cage_lightning.system.markdown import Markdown, markdown_table

README = Path(__file__).with_name("README.md")

PICKLE = "tests/unit/models/test_inert_pickle.py::test_what_an_attack_would_make_is_inert"
CHECKPOINT = "tests/unit/deploy/test_hostile_checkpoints.py::test_hostile_checkpoint_is_refused"
BOMBS = "tests/attacks/test_bombs.py"
FOLDERS = "tests/unit/runs/test_foreign_folders.py"
TEXTS = "tests/unit/report/test_hostile_texts.py"
ESCAPING = "tests/unit/system/test_escaping.py"
STATE = (
    "tests/unit/callbacks/test_own_state.py::test_a_strangers_state_is_refused_and_touches_nothing"
)
MALFORMED = "tests/unit/report/test_malformed_runs.py::test_a_table_is_made_of_the_others"
KEYS = "tests/unit/system/test_credentials.py"
HTTP = "tests/unit/server/test_http.py"
LINKS = "tests/unit/data/readers/test_linked_folders.py::test_no_folder_leads_out_of_the_release"

INERT = "kept as a name; the weights beside it are read"
REFUSED = "refused with a line"
LEFT_OUT = "the run is left out and named; the table is made"
SHOWN = "shown as text"


class Attack(NamedTuple):
    """One attack.

    Attributes:
        kind: Of the attacks that belong together.
        name: What the file is.
        tries: What it is to do.
        reader: The commands that read it.
        outcome: What comes of it.
        test: The test that makes the file, and in brackets the case.
    """

    kind: str
    name: str
    tries: str
    reader: str
    outcome: str
    test: str


_CODE = "Code in a checkpoint"
_CONFIG = "The config in a checkpoint"
_BOMB = "Small files that grow"
_WAY_OUT = "Ways out of a folder"
_INJECTION = "Text that is markup, a formula or a command"
_DAMAGE = "Run folders that are damaged or made up"
_SECRETS = "Keys"
_NETWORK = "Requests to the page of serve"

_WEIGHTS = "train, evaluate, export, predict, serve"
_RUN = "evaluate, export, predict, serve"

ATTACKS = [
    Attack(_CODE, *one)
    for one in (
        ("a call (REDUCE)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[reduce]"),
        ("a call by text (STACK_GLOBAL)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[by text]"),
        ("an old instance (INST)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[instance]"),
        ("an old object (OBJ)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[object]"),
        ("a new object (NEWOBJ)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[new object]"),
        (
            *("a new object with keywords (NEWOBJ_EX)", "start a program", _WEIGHTS, INERT),
            f"{PICKLE}[new object with keywords]",
        ),
        ("a function from the memo", "start a program", _WEIGHTS, INERT, f"{PICKLE}[from memory]"),
        ("a function from a getter", "start a program", _WEIGHTS, INERT, f"{PICKLE}[of a getter]"),
        ("a state that is set (BUILD)", "start a program", _WEIGHTS, INERT, f"{PICKLE}[state]"),
        (
            *("an extension code", "import what is registered", _WEIGHTS, REFUSED),
            "tests/unit/models/test_inert_pickle.py::test_what_pytorch_does_not_write_is_refused"
            "[extension]",
        ),
        (
            *("an object in a checkpoint of ours", "start a program", _RUN, REFUSED),
            "tests/unit/deploy/test_hostile_checkpoints.py::test_pickled_code_is_refused",
        ),
        (
            *("the class of a pickled network", "import a module beside it", _WEIGHTS, INERT),
            "tests/unit/models/test_weight_files.py::"
            "test_the_class_of_a_pickled_network_is_not_imported",
        ),
        ("an object in last.ckpt", "start a program", "train", REFUSED, f"{STATE}[code]"),
    )
]
ATTACKS += [
    Attack(_CONFIG, name, tries, _RUN, REFUSED, f"{CHECKPOINT}[{case}]")
    for name, tries, case in (
        ("_target_ of torch.hub", "run the code of a folder", "code of a folder"),
        ("_target_ inside a setting", "download a file", "nested download"),
        ("_target_ as the mode", "run the code of a folder", "module runs code"),
        ("_target_ of a function of ours", "read a file", "another function of ours"),
        ("a program as a network", "start a program", "network of a mode"),
        ("arguments by position", "read a file", "positional arguments"),
        ("timm's checkpoint_path", "read a file", "path of weights"),
        ("timm's pretrained_cfg", "read a file", "config of weights"),
        ("hf-hub: in a name", "download a network", "hub by name"),
        ("local-dir: in a name", "read a folder", "folder by name"),
        ("${oc.env:HOME} as a name", "tell a variable of the environment", "environment as name"),
        ("${hydra:...} as the model", "tell a folder", "model is text"),
        ("several lines and a colour as _target_", "steer the terminal", "several lines"),
        ("a name of 10 million letters", "fill the terminal", "name without end"),
        ("image_size of 10^9", "fill the memory", "huge picture"),
        ("a config in itself", "never come to an end", "config in itself"),
        ("100,000 categories", "fill the memory", "categories without end"),
        ("markup as a category", "make links and formulas", "markup as category"),
    )
]
ATTACKS += [
    Attack(_BOMB, name, tries, reader, outcome, f"{BOMBS}::{test}")
    for name, tries, reader, outcome, test in (
        (
            *("config.yaml with aliases", "grow to all memory", "collect, train", REFUSED),
            "test_yaml_that_grows[aliases]",
        ),
        (
            *("config.yaml that merges aliases", "grow", "collect, train", REFUSED),
            "test_yaml_that_grows[merged aliases]",
        ),
        (
            *("config.yaml, 1,000 brackets", "overflow the stack", "collect, train", REFUSED),
            "test_yaml_that_grows[deep]",
        ),
        (
            *("config.yaml of 260 kB", "take minutes", "collect, train", REFUSED),
            "test_yaml_that_grows[large]",
        ),
        (
            *(
                "a checkpoint's config, its parts in many places",
                "grow to all memory",
                _RUN,
                REFUSED,
            ),
            "test_a_config_in_a_checkpoint_that_grows[parts in many places]",
        ),
        (
            *("a checkpoint's config, 100 deep", "overflow the stack", _RUN, REFUSED),
            "test_a_config_in_a_checkpoint_that_grows[deep]",
        ),
        (
            *("a checkpoint with compressed parts", "unpack to all memory", _WEIGHTS, REFUSED),
            "test_a_checkpoint_whose_parts_are_compressed",
        ),
        (
            *(
                "Annotations.mat, 60,000 cells in each other",
                "overflow the stack",
                "prepare, train",
            ),
            *(REFUSED, "test_arrays_nested_without_end[cells]"),
        ),
        (
            *("Annotations.mat, 40,000 structs", "overflow the stack", "prepare, train", REFUSED),
            "test_arrays_nested_without_end[structs]",
        ),
        (
            *("Annotations.mat, a cell of 50,000 x 50,000", "fill the memory", "prepare, train"),
            *(REFUSED, "test_arrays_nested_without_end[more elements than bytes]"),
        ),
        (
            *("Annotations.mat that unpacks without end", "fill the memory", "prepare, train"),
            *(REFUSED, "test_a_mat_file_that_unpacks_without_end"),
        ),
        (
            *("Parquet, millions of rows in few bytes", "fill the memory", "score, collect, train"),
            *(REFUSED, "test_parquet_that_grows[many rows]"),
        ),
        (
            *("Parquet, a long text in many rows", "fill the memory", "score, collect, train"),
            *(REFUSED, "test_parquet_that_grows[a long text in many rows]"),
        ),
        (
            *("Parquet, long lists", "fill the memory", "score, collect, train", REFUSED),
            "test_parquet_that_grows[long lists]",
        ),
        (
            *("Parquet, a picture in many rows", "fill the disk", "prepare, train", REFUSED),
            "test_a_picture_in_many_rows_of_parquet",
        ),
        (
            *("Arrow, millions of rows of nothing", "fill the memory", "prepare, train", REFUSED),
            "test_arrow_that_grows[rows of nothing]",
        ),
        (
            *("Arrow, compressed zeros", "fill the memory", "prepare, train", REFUSED),
            "test_arrow_that_grows[compressed]",
        ),
        (
            *("Arrow, a word in many rows", "fill the memory", "prepare, train", REFUSED),
            "test_arrow_that_grows[a word in many rows]",
        ),
        (
            *("Arrow, a view in many rows", "fill the memory", "prepare, train", REFUSED),
            "test_arrow_that_grows[a view in many rows]",
        ),
        (
            *("Arrow, batches that lie in each other", "fill the memory", "prepare, train"),
            *(REFUSED, "test_arrow_whose_batches_lie_in_each_other"),
        ),
        (
            *(
                "JPEG with 200 scans",
                "take minutes",
                "all that read pictures",
                "a fault of its row",
            ),
            "test_a_jpeg_with_scans_without_end",
        ),
        (
            *("image_size of 64,000", "fill the memory", "train, prepare", REFUSED),
            "test_pictures_larger_than_any_network_takes",
        ),
    )
]
ATTACKS += [
    Attack(
        *(_BOMB, "PNG of 50,000 x 50,000 pixels", "fill the memory", "all that read pictures"),
        "a fault of its row",
        "tests/unit/data/preparation/test_checking.py::"
        "test_a_faulty_picture_has_a_name_and_training_refuses_it_too[bomb]",
    ),
    Attack(
        *(_BOMB, "PNG with a text that unpacks to 2 MB", "fill the memory", "collect", LEFT_OUT),
        f"{FOLDERS}::test_figures_are_pictures_in_png[text]",
    ),
    Attack(
        *(_BOMB, "EPS under the name of a PNG", "start Ghostscript", "collect"),
        "left out and named on the page",
        f"{FOLDERS}::test_figures_are_pictures_in_png[eps]",
    ),
    Attack(
        *(_BOMB, "a video of too many pixels", "fill the memory", "predict", "a fault of its row"),
        "tests/unit/faces/test_frames.py::test_a_video_of_too_many_pixels",
    ),
]
ATTACKS += [
    Attack(_WAY_OUT, name, tries, reader, outcome, test)
    for name, tries, reader, outcome, test in (
        (
            *("best.ckpt as a link", "overwrite a file", "train", REFUSED),
            f"{FOLDERS}::test_no_training_follows_a_link_out_of_its_folder[checkpoints/best.ckpt]",
        ),
        (
            *("train.log as a link", "overwrite a file", "train", REFUSED),
            f"{FOLDERS}::test_no_training_follows_a_link_out_of_its_folder[train.log]",
        ),
        (
            *(".lock as a pipe", "wait for ever", "train", REFUSED),
            f"{FOLDERS}::test_no_training_waits_for_a_pipe[.lock]",
        ),
        (
            *("metrics.json as a link", "show a file", "collect", LEFT_OUT),
            f"{FOLDERS}::test_no_result_is_that_of_a_link[metrics.json]",
        ),
        (
            *("train.log as a link to a key", "show it on the page", "collect", "named, not shown"),
            f"{FOLDERS}::test_a_page_shows_nothing_that_a_link_leads_to",
        ),
        (
            *("evaluations/ as a link", "write somewhere else", "evaluate", REFUSED),
            f"{FOLDERS}::test_an_evaluation_stays_in_the_run_folder[evaluations]",
        ),
        (
            *("best_model_path of another folder", "delete a file", "train", REFUSED),
            f"{STATE}[file of another folder]",
        ),
        (
            *("a category as a link to a folder", "pack private pictures", "prepare, train"),
            *(REFUSED, f"{LINKS}[train/happy]"),
        ),
        (
            *("a split as a link to a folder", "pack private pictures", "prepare, train", REFUSED),
            f"{LINKS}[train]",
        ),
        (
            *(
                "a picture as a link",
                "pack a private picture",
                "prepare, train",
                "a fault of its row",
            ),
            "tests/integration/test_prepare.py::"
            "test_a_picture_that_leads_out_of_the_release_is_a_fault",
        ),
        (
            *("../ in an annotation", "read a file above", "prepare, train", REFUSED),
            "tests/unit/data/readers/test_files.py::test_a_path_that_is_not_plain_leads_nowhere",
        ),
        (
            *("a list inside a video", "read other files", "predict", "a fault of its row"),
            "tests/unit/faces/test_frames.py::test_a_video_opens_no_other_file",
        ),
        (
            *("external data of an ONNX model", "read other files", "evaluate, predict", REFUSED),
            "tests/integration/test_export.py::test_weights_outside_an_onnx_file_are_not_read",
        ),
        (
            *("the search of another folder as a link", "show it", "collect", "left out"),
            "tests/unit/report/test_run_page.py::test_the_search_of_another_folder_is_left_out",
        ),
    )
]
ATTACKS += [
    Attack(_INJECTION, name, tries, reader, SHOWN, test)
    for name, tries, reader, test in (
        (
            *("= at the start of a setting", "run a formula in a spreadsheet", "collect"),
            f"{TEXTS}::test_no_cell_is_a_formula",
        ),
        (
            *("@, + and - at the start of a cell", "run a formula", "all that write CSV"),
            f"{ESCAPING}::test_a_spreadsheet_runs_nothing",
        ),
        (
            *("a script as a setting", "run in results.md", "collect"),
            f"{TEXTS}::test_markdown_has_no_markup_and_no_other_commands",
        ),
        (
            *("a script as a tag", "run in page.html", "collect"),
            "tests/unit/report/test_run_page.py::test_text_from_the_runs_stays_text",
        ),
        (
            *("a group that ends the fence", "put a command among those to copy", "collect"),
            f"{TEXTS}::test_markdown_has_no_markup_and_no_other_commands",
        ),
        (
            *("a run folder called ;touch ran", "run when its command is copied", "collect"),
            f"{TEXTS}::test_the_page_and_the_picture_show_it_as_text",
        ),
        (
            *("\\input as a setting", "read a file in results.tex", "collect"),
            f"{TEXTS}::test_latex_has_no_commands",
        ),
        (
            *("$\\frac{1}$ as a name", "end the drawing of a figure", "collect, score"),
            f"{ESCAPING}::test_no_text_in_a_figure_is_a_formula",
        ),
        (
            *("[/x] as a name", "end the printing of a table", "score, evaluate"),
            f"{ESCAPING}::test_what_is_printed_steers_no_terminal",
        ),
        (
            *("ESC in a file's name", "steer the terminal and train.log", "all"),
            f"{ESCAPING}::test_what_is_logged_steers_no_terminal",
        ),
        (
            *("a title of the window", "steer the terminal", "all"),
            f"{ESCAPING}::test_a_terminal_is_not_steered[title of the window]",
        ),
        (
            *("text from right to left", "show another name", "all"),
            f"{ESCAPING}::test_a_terminal_is_not_steered[right to left]",
        ),
    )
]
ATTACKS += [
    Attack(_DAMAGE, name, "end collect for all runs", "collect", LEFT_OUT, f"{MALFORMED}[{case}]")
    for name, case in (
        ("metrics.json, empty", "scores: empty"),
        ("metrics.json, cut", "scores: cut"),
        ("metrics.json of [1]", "scores: a list"),
        ("metrics.json, 5,000 deep", "scores: nested without end"),
        ("a score of 10^400", "score: no float"),
        ("config.yaml that calls os.system", "config: an object"),
        ("config.yaml, binary", "config: binary"),
        ("predictions.parquet, cut", "predictions: cut"),
        ("predictions.parquet of millions of rows in few bytes", "predictions: a bomb"),
    )
]
ATTACKS += [
    Attack(_SECRETS, name, tries, reader, outcome, test)
    for name, tries, reader, outcome, test in (
        (
            *("keys in the environment", "get into files and W&B", "train", "in no file"),
            "tests/integration/test_wandb.py::test_a_run_is_logged_offline",
        ),
        (
            *("a key as a setting", "get into config.yaml", "all that keep settings", REFUSED),
            f"{KEYS}::test_no_setting_holds_a_key[a key]",
        ),
        (
            *("${oc.env:HF_TOKEN} as a setting", "get into config.yaml", "all that keep settings"),
            *(REFUSED, f"{KEYS}::test_no_setting_holds_a_key[a reference]"),
        ),
        (
            *(
                "a password in an address",
                "get into config.yaml",
                "all that keep settings",
                REFUSED,
            ),
            f"{KEYS}::test_no_setting_holds_a_key[a password]",
        ),
        (
            *("the password of a camera", "get into rows", "predict", "left out of its name"),
            "tests/unit/faces/test_sources.py::test_a_password_is_in_no_name",
        ),
        (
            *("wandb/settings of a folder", "send the key elsewhere", "train", REFUSED),
            f"{KEYS}::test_the_key_of_wandb_goes_where_the_user_says",
        ),
    )
]
ATTACKS += [
    Attack(_NETWORK, name, tries, "serve", "refused", f"{HTTP}::{test}")
    for name, tries, test in (
        ("../ in an address", "read a file", "test_no_path_leads_to_a_file"),
        ("a request of another website", "look at pictures", "test_other_websites_may_not_ask"),
        ("a picture that is too large", "fill the memory", "test_a_picture_that_is_too_large"),
        (
            *("a connection that says nothing", "hold a place"),
            "test_a_connection_that_says_nothing_is_closed",
        ),
    )
]


def render() -> str:
    """The list as a page."""
    lines = [
        "# Attacks",
        "",
        f"{len(ATTACKS)} files, folders and requests of a stranger, each made by a test.",
        "Written by `python -m tests.attacks.catalogue`. What is trusted and what is not is in",
        "[SECURITY.md](../../SECURITY.md).",
    ]
    heading = ["", "what it is", "what it tries", "read by", "what comes of it", "test"]
    numbers = iter(range(1, len(ATTACKS) + 1))
    for kind, attacks in groupby(ATTACKS, lambda attack: attack.kind):
        rows = [
            [str(next(numbers)), *one[1:5], Markdown(f"`{one.test.rpartition('/')[2]}`")]
            for one in attacks
        ]
        lines += ["", f"## {kind}", "", markdown_table(heading, rows).rstrip()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    README.write_text(render(), encoding="utf-8")
