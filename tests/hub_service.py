"""Something like the Hugging Face hub on this machine: repositories of small files in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

TOKEN = "hf_" + "a" * 30


class Hub(BaseHTTPRequestHandler):
    """Keeps what is committed; only those who know the token may write."""

    files: dict[str, dict[str, bytes]]  # by repository and name
    private: dict[str, bool]
    got: list[str]
    lost: set[str]  # what it lists and does not give
    cards: dict[str, Any]  # the metadata of data sets
    converted: dict[str, dict[str, bytes]]  # what the hub has made of data sets

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[dict[str, str]]:
        """Run it with an empty cache, and yield the environment for its clients."""
        Hub.files, Hub.private, Hub.got = {}, {}, []
        Hub.cards, Hub.converted, Hub.lost = {}, {}, set()
        with (
            TemporaryDirectory() as cache,
            # Chosen where the library is imported, which may have been before.
            patch("huggingface_hub.constants.HF_HUB_CACHE", cache),
            ThreadingHTTPServer(("127.0.0.1", 0), cls) as server,
        ):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            address = f"http://127.0.0.1:{server.server_address[1]}"
            yield {"HF_ENDPOINT": address, "HF_TOKEN": TOKEN}
            server.shutdown()

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\n")
            self._answer(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "who are you"})
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.files.setdefault(name, {})
            self.private.setdefault(
                name, asked.get("private") or asked.get("visibility") == "private"
            )
            self._answer(200, {"url": f"http://{self.headers['Host']}/{name}"})
        elif "/preupload/" in self.path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for one in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif "/commit/" in self.path:
            name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.files[name][value["path"]] = base64.b64decode(value["content"])
            self._answer(
                200,
                {
                    "commitUrl": f"http://{self.headers['Host']}/{name}/commit/{_SHA}",
                    "commitOid": _SHA,
                    "hookOutput": "",
                },
            )
        else:
            self._answer(404, {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/api/whoami-v2":
            right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self._answer(200 if right else 401, {"name": "me", "type": "user"} if right else {})
            return
        if self.path.startswith("/api/datasets/"):
            self._answer_about_data()
            return
        if self.path.startswith("/api/models/"):
            name = (
                self.path.removeprefix("/api/models/").partition("/revision/")[0].partition("?")[0]
            )
            siblings = [{"rfilename": one} for one in self.files.get(name, {})]
            model = {"id": name, "sha": _SHA, "private": False, "tags": [], "siblings": siblings}
            self._answer(200, model) if name in self.files else self._answer(404, {})
            return
        name, _, rest = self.path.removeprefix("/").partition("/resolve/")
        sha, _, file = rest.partition("/")
        content = self._files_of(name, sha).get(file)
        if content is None or file in self.lost:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if self.command == "GET":
            self.got.append(file)
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        commit = sha if sha == _OTHER_SHA else _SHA
        self._send(200, content, {"ETag": tag, "X-Repo-Commit": commit})

    def _answer_about_data(self) -> None:
        path = unquote(self.path.removeprefix("/api/").partition("?")[0])
        name, _, revision = path.partition("/revision/")
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if name not in self.files or (self.private.get(name) and not allowed):
            self._answer(404 if allowed else 401, {})
        elif revision == _AS_PARQUET and name not in self.converted:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            sha = _OTHER_SHA if revision == _AS_PARQUET else _SHA
            siblings = [{"rfilename": one} for one in self._files_of(name, sha)]
            about: dict[str, Any] = {
                "id": name.removeprefix("datasets/"),
                "sha": sha,
                "siblings": siblings,
            }
            about |= {"private": False, "tags": [], "cardData": self.cards.get(name)}
            self._answer(200, about)

    def _files_of(self, name: str, sha: str) -> dict[str, bytes]:
        """The files of a repository, in the branch of a commit."""
        return (self.converted if sha == _OTHER_SHA else self.files).get(name, {})

    def _answer(self, status: int, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


_AS_PARQUET = "refs/convert/parquet"
_SHA = "0123456789abcdef0123456789abcdef01234567"
_OTHER_SHA = "f" * 40
