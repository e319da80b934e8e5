"""Keys and passwords get into no file, and no setting may hold one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.runs.wandb_settings import check_settings_of_folder
from cage_lightning.system.credentials import refuse_credentials, without_credentials
from tests.conftest import TINY, Command
from tests.planted_keys import KEYS, files_with_keys


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("SSL_KEY", "/etc/ssl/private/key.pem")
    monkeypatch.setenv("SHORT_KEY", "abc")


KEY = KEYS["HF_TOKEN"]
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a key": ({"tag": KEY}, "tag holds the value of HF_TOKEN"),
    "a key inside": ({"logger": {"wandb": {"notes": f"x {KEY}"}}}, "logger.wandb.notes holds the"),
    "a key in a list": ({"names": [1, KEY]}, "names holds the value of HF_TOKEN"),
    "a key as a name": ({"more": {KEY: 1}}, "more holds the value of HF_TOKEN"),
    "a reference": ({"tag": "${oc.env:HF_TOKEN}"}, "tag holds the value of HF_TOKEN"),
    "a reference with a default": ({"tag": "a${oc.env: MY_SECRET, x}"}, "the value of MY_SECRET"),
    "a password": ({"data.root": "https://me:word@host/x"}, "data.root holds an address with a pa"),
    "a token alone": (
        {"init_from": "http://:word@host/x"},
        "init_from holds an address with a pass",
    ),
}


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("kind", REFUSED)
def test_no_setting_holds_a_key(kind: str) -> None:
    settings, message = REFUSED[kind]
    with pytest.raises(ConfigError) as refused:
        refuse_credentials(settings)
    assert message in str(refused.value)
    assert "word" not in str(refused.value).replace("password", "")
    assert KEY not in str(refused.value)


@pytest.mark.usefixtures("planted")
def test_other_settings_are_none_of_its_business() -> None:
    paths = {"a": "/etc/ssl/private/key.pem", "b": "abc", "c": "hf://me/name", "d": 1, "e": None}
    refuse_credentials(paths | {"f": "${oc.env:HOME}", "g": "user@host:22", "h": "http://a/b@c:d"})


@pytest.mark.usefixtures("planted")
def test_a_text_is_shown_without_them() -> None:
    text = f"GET https://me:word@host/{KEY} failed"
    assert without_credentials(text) == "GET https://***@host/*** failed"


@pytest.mark.parametrize(
    "setting",
    [
        f"tag={KEY}",
        f"+trainer.note={KEY}",
        "group=${oc.env:HF_TOKEN}",
        "data.root=https://me:planted4-correct-horse@host/data",
    ],
)
@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1")], ids=["run", "sweep"])
def test_a_command_that_is_given_one_keeps_nothing(
    command: Command, tmp_path: Path, sweep: tuple[str, ...], setting: str
) -> None:
    done = command("train", *sweep, *TINY, setting, check=False, **KEYS)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {setting.partition('=')[0].lstrip('+')} holds ")
    assert not any(key in done.stdout + done.stderr for key in KEYS.values())
    assert [*tmp_path.iterdir()] == []
    assert files_with_keys(tmp_path) == []


ELSEWHERE = ("base_url = https://elsewhere.example", "https_proxy = http://elsewhere.example")


@pytest.mark.parametrize("line", ELSEWHERE)
def test_the_key_of_wandb_goes_where_the_user_says(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    check_settings_of_folder()
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb/settings").write_text(f"[default]\nproject = x\n{line}\n")
    name = line.partition(" ")[0]
    with pytest.raises(ConfigError, match=rf"wandb/settings of this folder sets {name}, by which"):
        check_settings_of_folder()
    with monkeypatch.context() as patch:
        patch.setenv(f"WANDB_{name.upper()}", "https://mine.example")
        check_settings_of_folder()
    usual = "[default]\nproject = x\nentity = y\nbase_url = https://api.wandb.ai/\n"
    for harmless in (usual, "[other]\nbase_url = x\n", "no settings"):
        (tmp_path / "wandb/settings").write_text(harmless)
        check_settings_of_folder()
