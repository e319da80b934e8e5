"""The command `serve`: its settings, its warnings and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from omegaconf import DictConfig

from cage_lightning.commands.serve import make_server, serve
from cage_lightning.errors import ConfigError
from cage_lightning.server.http import PageServer
from tests.conftest import composed, environment, forks

NAME = "demo8-tiny-combined-s0"


@pytest.fixture
def config(trained: Path) -> DictConfig:
    run = trained / "runs" / "default" / NAME
    settings = (f"checkpoint={run}", "port=0", "faces=none", "device=cpu")
    return composed(*settings, config_name="serve")


def test_it_says_what_it_serves(config: DictConfig) -> None:
    with make_server(config) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.limit == 20_000_000
        about = json.loads(server.content["/about"][0])
    assert about["model"] == NAME
    assert about["categories"][0] == "Neutral"


def test_a_port_that_is_taken(config: DictConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config.port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port={config.port} cannot be listened at"):
            make_server(config)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("port", 70_000, "port=70000 is not between"),
        ("upload_mb", 0, "upload_mb=0"),
        ("faces", "eyes", "faces=eyes: choose one of"),
        ("host", "192.0.2.1", "host=192.0.2.1"),
    ],
)
def test_what_is_refused(config: DictConfig, setting: str, value: object, said: str) -> None:
    config[setting] = value
    with pytest.raises(ConfigError, match=said):
        make_server(config)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: PageServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupt)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_another_host_is_warned_of(
    config: DictConfig,
    host: str,
    interrupted: None,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config.host = host
    serve(config)
    assert ("without a password" in caplog.text) == (host == "0.0.0.0")
    out = capsys.readouterr().out
    assert "shows the page; Ctrl-C ends it" in out
    assert out.endswith("ended; nothing was kept\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)], ids=["Ctrl-C", "asked to leave"]
)
def test_as_it_is_typed(
    trained: Path, demo_root: Path, tmp_path: Path, end: signal.Signals, code: int
) -> None:
    images = demo_root / "demo_faces" / "tiny" / "val_set" / "images"
    settings = (f"checkpoint={trained}/runs/default/{NAME}", "port=0", "faces=none")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with nullcontext() if end is signal.SIGINT else forks():  # Python is really started once
        process = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.serve", *settings],
            cwd=tmp_path,
            env=environment(tmp_path) | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(":")[2].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        picture = next(images.glob("*.jpg")).read_bytes()
        connection.request("POST", "/faces", picture)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        connection.request("POST", "/faces", picture)  # is looked at when the end comes
        os.kill(process.pid, end)
        assert process.wait(60) == code
        connection.close()
    assert list(temporary.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
