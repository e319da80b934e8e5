"""The server of the page: four fixed files, and one address that takes a picture.

What a request asks for is looked up in a table; no path is made of it. Requests that another
website makes a browser send are refused: by their Origin, and by the Host under which a name of
that website would have to stand for this machine.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6, SHUT_RD, socket
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cage_lightning.errors import DataError
from cage_lightning.server.looking import Looker

log = logging.getLogger(__name__)

MEGABYTE = 1_000_000
STREAM = "X-Stream"  # the header with the name of a video or camera

_HERE = Path(__file__).parent
_FILES = MappingProxyType(
    {
        "/": ("page.html", "text/html; charset=utf-8"),
        "/page.css": ("page.css", "text/css; charset=utf-8"),
        "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    }
)
_ABOUT, _FACES = "/about", "/faces"
_JSON = "application/json"
_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
_SECONDS = 10  # for which a connection may say nothing
_AT_ONCE = 8  # pictures that are received or looked at; more are sent away
_LONGEST_NAME = 64  # of a stream
_CHUNK = 1 << 16
_LISTENED_TO = 100 * MEGABYTE  # of a picture that is too large, so that its sender hears why


class PageServer(ThreadingHTTPServer):
    """The server, which listens as soon as it is made.

    Args:
        host: The address of this machine to listen at.
        port: 0 for any free one.
        looker: What looks at the pictures.
        name: Of the model, for the page.
        limit: Largest picture in bytes.

    Raises:
        OSError: The address or the port cannot be used.
    """

    daemon_threads = False  # Python may not end while torch is at work in one

    def __init__(self, host: str, port: int, looker: Looker, name: str, limit: int) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.looker, self.limit = looker, limit
        self.is_local = is_loopback(host)
        self.free = threading.BoundedSemaphore(_AT_ONCE)
        self._connections: set[socket] = set()
        about = {"model": name, "limit": limit} | looker.about()
        self.content = {
            path: ((_HERE / file).read_bytes(), kind) for path, (file, kind) in _FILES.items()
        } | {_ABOUT: (json.dumps(about).encode(), _JSON)}
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Wait for the answers under way; nothing more is read."""
        for connection in tuple(self._connections):
            with suppress(OSError):  # it has ended meanwhile
                connection.shutdown(SHUT_RD)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet: what is left to end a connection is a browser that went away."""
        log.debug("a connection ended early", exc_info=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach an address or name of it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        """The page, its files and what the model is."""
        if self._is_foreign():
            return
        content = self.server.content.get(self.path.partition("?")[0])
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")
        else:
            self._send(HTTPStatus.OK, *content)

    def do_POST(self) -> None:
        """Look at the picture that is the body of the request."""
        if self._is_foreign():
            return
        if self.path != _FACES:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")
        elif (length := self._length()) is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "The request does not say its length.")
        elif length > self.server.limit:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The picture has {length / MEGABYTE:.0f} MB; pictures of up to "
                f"{self.server.limit / MEGABYTE:.0f} MB are taken.",
            )
            self._drain(min(length, _LISTENED_TO))
        elif not self.server.free.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pictures at once.")
        else:
            try:
                self._look(self.rfile.read(length))
            finally:
                self.server.free.release()

    def _look(self, content: bytes) -> None:
        stream = self.headers.get(STREAM)
        try:
            found = self.server.looker.look(content, stream and stream[:_LONGEST_NAME])
        except DataError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except Exception:
            log.exception("a picture could not be looked at")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "That went wrong; see the terminal.")
        else:
            self._send(HTTPStatus.OK, json.dumps(found).encode(), _JSON)

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit()):
            return None
        return int(text[:18])

    def _is_foreign(self) -> bool:
        """Whether another website asks; the request is refused then."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        own = urlsplit(f"//{host}").hostname
        if self.server.is_local and not (own and is_loopback(own)):
            self._refuse(HTTPStatus.FORBIDDEN, "This page is only for this computer.")
        elif origin is not None and origin != f"http://{host}":
            self._refuse(HTTPStatus.FORBIDDEN, "Other websites may not ask.")
        else:
            return False
        return True

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer with a message; what is left of the request is not read."""
        self.close_connection = True
        self._send(status, json.dumps({"error": message}).encode(), _JSON)

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _drain(self, length: int) -> None:
        while length > 0 and (chunk := self.rfile.read(min(_CHUNK, length))):
            length -= len(chunk)

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """What the server calls itself."""
        return "cage_lightning"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are nobody's business; refused ones are seen in debugging."""
        log.debug(format, *arguments)
