"""Something like the Hugging Face hub on this machine: repositories of small files in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

TOKEN = "hf_" + "a" * 30


class Hub(BaseHTTPRequestHandler):
    """Keeps what is committed; only those who know the token may write."""

    files: dict[str, dict[str, bytes]]  # by repository and name
    private: dict[str, bool]
    got: list[str]

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[dict[str, str]]:
        """Run it, and yield the environment for its clients."""
        Hub.files, Hub.private, Hub.got = {}, {}, []
        with ThreadingHTTPServer(("127.0.0.1", 0), cls) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            address = f"http://127.0.0.1:{server.server_address[1]}"
            yield {"HF_ENDPOINT": address, "HF_TOKEN": TOKEN}
            server.shutdown()

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/datasets/") and "/paths-info/" in self.path:
            name = self.path.removeprefix("/api/").partition("/paths-info/")[0]
            asked = parse_qs(body.decode()).get("paths", [])
            there = self.files.get(name, {})
            self._answer(200, [_entry(path, there[path]) for path in asked if path in there])
        elif self.path == "/api/validate-yaml":
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
        content = self.files.get(name, {}).get(rest.partition("/")[2])
        if content is None:
            self._answer(404, {})
            return
        if self.command == "GET":
            self.got.append(rest.partition("/")[2])
        self._send(
            200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": _SHA}
        )

    def _answer_about_data(self) -> None:
        path = self.path.removeprefix("/api/").partition("?")[0]
        name, _, folder = path.partition("/tree/")
        name = name.partition("/revision/")[0]
        files = self.files.get(name)
        if files is None:
            self._answer(404, {})
        elif folder:
            self._answer(200, _tree(files, folder.partition("/")[2]))
        else:
            siblings = [{"rfilename": one} for one in files]
            data = {"id": name.removeprefix("datasets/"), "sha": _SHA, "siblings": siblings}
            self._answer(200, data | {"private": False, "tags": []})

    def _answer(self, status: int, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _tree(files: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
    """What lies in a folder itself."""
    start = f"{folder}/" if folder else ""
    inside = {path.removeprefix(start): path for path in files if path.startswith(start)}
    folders = sorted({name.partition("/")[0] for name in inside if "/" in name})
    return [_entry(path, files[path]) for name, path in inside.items() if "/" not in name] + [
        {"type": "directory", "path": f"{start}{name}", "size": 0, "oid": _SHA} for name in folders
    ]


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
    }


_SHA = "0123456789abcdef0123456789abcdef01234567"
