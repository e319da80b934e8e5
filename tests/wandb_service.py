"""Something like the service of W&B on this machine: it answers what the client must know."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

_PROJECT = {"id": "p", "name": "cage_lightning", "entityName": "me", "user": None}
_DATED = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
_VIEW = {"id": "v1", "name": "nw-v1", "type": "runs", "displayName": "", "description": ""}


class Service(BaseHTTPRequestHandler):
    """Keeps the views and sweeps that are saved, and hands an agent the settings of its runs.

    Where it `goes_dark`, it answers no more once a run logs. All answers have one `status` of HTTP,
    and come after `delay_s`.
    """

    saved: list[dict[str, Any]]
    sweep = ""
    chosen: list[dict[str, Any]]
    goes_dark: bool
    over: threading.Event
    status: int
    delay_s: float
    dark = False

    @classmethod
    @contextmanager
    def running(
        cls,
        goes_dark: bool = False,
        chosen: Sequence[dict[str, Any]] = (),
        status: int = 200,
        delay_s: float = 0.0,
    ) -> Iterator[dict[str, str]]:
        """Run it, and yield the environment for its clients."""
        Service.saved, Service.goes_dark, Service.dark = [], goes_dark, False
        Service.sweep, Service.chosen = "", [*chosen]
        Service.status, Service.delay_s = status, delay_s
        Service.over = threading.Event()
        with ThreadingHTTPServer(("127.0.0.1", 0), cls) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_address[1]}"
            yield {"WANDB_BASE_URL": address, "WANDB_API_KEY": "a" * 40}
            Service.over.set()
            server.shutdown()

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Service.dark |= self.goes_dark and "file_stream" in self.path
        if self.dark:
            self.over.wait()
            return
        self.over.wait(self.delay_s)
        variables: dict[str, Any] = {}
        if self.path == "/graphql":
            variables = json.loads(body).get("variables") or {}
        if "spec" in variables:
            self.saved.append(variables)
        if "controller" in variables:
            Service.sweep = variables["config"]
        answer = _answer(variables) | _of_a_sweep(Service.sweep, self._next(variables))
        content = json.dumps({"data": answer}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _next(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        """What an agent is to do: its next run, or to end."""
        if json.loads(variables.get("runState") or "null") != {}:
            return []
        if not self.chosen:
            return [{"type": "exit"}]
        args = {key: {"value": value} for key, value in self.chosen.pop(0).items()}
        run = f"run{len(self.chosen)}"
        program = yaml.safe_load(self.sweep)["program"]
        return [{"type": "run", "run_id": run, "program": program, "args": args}]


def _of_a_sweep(config: str, commands: list[dict[str, Any]]) -> dict[str, Any]:
    project = _PROJECT | {"entity": {"id": "e", "name": "me"}}
    sweep = {"id": "s", "name": "abc", "config": config, "runs": {"edges": []}, "project": project}
    return {
        "upsertSweep": {"sweep": sweep, "configValidationWarnings": []},
        "project": {"sweep": sweep},
        "createAgent": {"agent": {"id": "a"}},
        "agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(commands)},
    }


def _answer(variables: dict[str, Any]) -> dict[str, Any]:
    """To any query: the client takes out what it has asked for."""
    me = {"id": "u", "username": "me", "entity": "me", "email": "", "flags": "{}"}
    project = _PROJECT | {"entity": {"id": "e", "name": "me"}}
    return {
        "viewer": me | {"teams": {"edges": []}},
        "models": {
            "edges": [{"node": _PROJECT | {"isBenchmark": False} | _DATED, "cursor": "c"}],
            "pageInfo": {"endCursor": "c", "hasNextPage": False},
        },
        "upsertView": {
            "view": _VIEW | _DATED | {"project": _PROJECT, "spec": '{"version": 5, "blocks": []}'},
            "inserted": True,
        },
        "model": {"bucket": None},
        "upsertBucket": {
            "bucket": {
                **{"id": "b", "name": variables.get("name"), "project": project},
                **{"displayName": "", "sweepName": None, "historyLineCount": 0, "config": "{}"},
            },
            "inserted": True,
        },
    }
