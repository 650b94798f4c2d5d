"""A hub on this machine with one model, for huggingface_hub's own client to talk to.

It serves what snapshot_download asks for: the list of files of a revision, and each file with its ETag. Every request
is recorded.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED = "owner/gated"


class FakeHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, model: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        self.downloaded: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def log_message(self, *args: object) -> None:
        """Nothing: the test reads `downloaded`."""

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        hub = self.server
        if path.startswith((f"api/models/{GATED}", f"{GATED}/")):
            self.refuse(403, "GatedRepo")
        elif not path.startswith((f"api/models/{hub.model}/", f"{hub.model}/resolve/")):
            self.refuse(404, "RepoNotFound")
        elif path.startswith(f"api/models/{hub.model}/"):
            kind, _, revision = path.removeprefix(f"api/models/{hub.model}/").partition("/")
            if revision not in {"main", COMMIT}:
                self.refuse(404, "RevisionNotFound")
            elif kind == "tree":
                files = [
                    {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for name, content in hub.files.items()
                ]
                self.send(json.dumps(files).encode(), {}, body=body)
            else:
                siblings = [{"rfilename": name} for name in hub.files]
                info = {"id": hub.model, "sha": COMMIT, "siblings": siblings}
                self.send(json.dumps(info).encode(), {}, body=body)
        else:
            _, _, name = path.removeprefix(f"{hub.model}/resolve/").partition("/")
            content = hub.files.get(name)
            if content is None:
                self.refuse(404, "EntryNotFound")
                return
            if body:
                hub.downloaded.append(name)
            self.send(content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, body=body)

    def send(self, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(200)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def fake_hub(model: str, folder: Path) -> Iterator[FakeHub]:
    with FakeHub(model, folder) as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
