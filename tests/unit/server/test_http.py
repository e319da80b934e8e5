"""The server of the page: what it answers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.errors import DataError
from cage_lightning.server import http as served
from cage_lightning.server.http import PageServer, is_loopback

LIMIT = 200_000


class Echo:
    """Says how long a picture is; knows no model."""

    def about(self) -> dict[str, Any]:
        return {"categories": ["Fear"], "several": False, "dimensions": []}

    def look(self, content: bytes, stream: str | None = None) -> dict[str, Any]:
        match content:
            case b"a bug":
                raise ZeroDivisionError
            case b"no picture":
                raise DataError("This is no picture.")
            case _:
                return {"length": len(content), "stream": stream}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    """A server on a free port; in the end no file was left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with PageServer("127.0.0.1", 0, Echo(), "a model", LIMIT) as started:  # type: ignore[arg-type]
        thread = threading.Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()
    assert list(tmp_path.iterdir()) == []


Answer = tuple[int, Mapping[str, str], bytes]


def ask(
    server: PageServer,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def refusal(answer: Answer) -> tuple[int, str]:
    status, _, content = answer
    return status, json.loads(content)["error"]


def test_the_page_and_what_it_is_made_of(server: PageServer) -> None:
    for path, kind in {"/": "html", "/page.css": "css", "/page.js": "javascript"}.items():
        status, headers, content = ask(server, path)
        assert (status, kind in headers["Content-Type"]) == (200, True)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "cage_lightning"
        addresses = set(re.findall(rb"https?://[\w.]+", content))
        assert addresses <= {b"http://www.w3.org", b"http://localhost"}, "it needs no internet"
    assert json.loads(ask(server, "/about?x=1")[2]) == {
        **{"model": "a model", "limit": LIMIT},
        **{"categories": ["Fear"], "several": False, "dimensions": []},
    }


def test_a_picture_is_looked_at(server: PageServer) -> None:
    status, _, content = ask(server, "/faces", b"x" * LIMIT, {served.STREAM: "f" * 100})
    assert (status, json.loads(content)) == (200, {"length": LIMIT, "stream": 64 * "f"})


def test_one_connection_serves_many_pictures(server: PageServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    for length in (1, 2):
        connection.request("POST", "/faces", b"x" * length)
        own = connection.sock
        assert json.loads(connection.getresponse().read())["length"] == length
        assert connection.sock is own is not None
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "//etc/passwd", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"),
        *("/file=/etc/passwd", "/gradio_api/file=/etc/passwd", "/page.css/../http.py"),
        *("/http.py", "/page.html", "/docs", "/openapi.json", "file:///etc/passwd"),
    ],
)
def test_no_path_leads_to_a_file(server: PageServer, path: str) -> None:
    assert refusal(ask(server, path)) == (404, "There is no such page.")
    assert refusal(ask(server, path, b"x")) == (404, "There is no such page.")


def test_a_picture_that_is_too_large(server: PageServer) -> None:
    told = refusal(ask(server, "/faces", bytes(50_000_000)))
    assert told == (413, "The picture has 50 MB; pictures of up to 0 MB are taken.")


def test_what_is_no_picture(server: PageServer) -> None:
    assert refusal(ask(server, "/faces", b"no picture")) == (422, "This is no picture.")


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "chunked", "Content-Length": "1"},
        {"Content-Length": "-1"},
        {"Content-Length": "x"},
    ],
)
def test_a_picture_of_unknown_length(server: PageServer, headers: Mapping[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest("POST", "/faces")
    for header in headers.items():
        connection.putheader(*header)
    connection.endheaders()
    answer = connection.getresponse()
    assert refusal((answer.status, {}, answer.read()))[0] == 411
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Host": "elsewhere.example"},
        {"Host": "elsewhere.example:7860"},
        {"Host": "127.0.0.1.elsewhere.example"},
    ],
)
def test_other_websites_may_not_ask(server: PageServer, headers: Mapping[str, str]) -> None:
    for body in (None, b"x"):
        status, about, _ = ask(server, "/about" if body is None else "/faces", body, headers)
        assert status == 403
        assert "Access-Control-Allow-Origin" not in about


def test_this_computer_has_several_names(server: PageServer) -> None:
    port = server.server_port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        own = {"Host": host, "Origin": f"http://{host}"}
        assert ask(server, "/faces", b"x", own)[0] == 200


def test_a_fault_of_ours_is_told_in_the_terminal(
    server: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, said = refusal(ask(server, "/faces", b"a bug"))
    assert (status, "ZeroDivision" in said) == (500, False)
    assert "ZeroDivisionError" in caplog.text
    assert ask(server, "/faces", b"x")[0] == 200


def test_too_many_at_once_are_sent_away(server: PageServer) -> None:
    for _ in range(served._AT_ONCE):
        server.free.acquire()
    assert refusal(ask(server, "/faces", b"x")) == (503, "Too many pictures at once.")
    server.free.release()
    assert ask(server, "/faces", b"x")[0] == 200
    assert ask(server, "/faces", b"x")[0] == 200


def test_a_connection_that_says_nothing_is_closed(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < served._Handler.timeout <= 60
    monkeypatch.setattr(served._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(b"POST /faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        assert connection.recv(100) == b""
    assert ask(server, "/faces", b"x")[0] == 200


def test_at_the_end_answers_under_way_are_sent_and_nothing_more_is_read(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served._Handler, "timeout", None)
    begun, go_on = threading.Event(), threading.Event()

    def look(content: bytes, _: str | None) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(20)
        return {"length": len(content)}

    monkeypatch.setattr(server.looker, "look", look)
    idle, asking = (
        http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20) for _ in range(2)
    )
    with closing(idle), closing(asking):
        idle.request("GET", "/about")
        assert idle.getresponse().read()  # and the connection stays open for the next request
        asking.request("POST", "/faces", b"12345")
        assert begun.wait(20)
        server.shutdown()
        end = threading.Thread(target=server.server_close)
        end.start()
        end.join(0.1)
        assert end.is_alive()
        go_on.set()
        assert json.loads(asking.getresponse().read()) == {"length": 5}
        end.join(20)
        assert not end.is_alive()


def test_addresses_of_this_machine_alone() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [
        True
    ] * 4
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.2", "example.org"))
