"""A stand-in for the Hugging Face Hub on this machine: one repository, in memory, over HTTP."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40


class _Hub(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/api/repos/create"):
            return self._json({"url": f"{self.server.address}/u/m"})
        if self.path.endswith("/api/validate-yaml"):
            return self._json({"warnings": [], "errors": []})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return self._json({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._json({"commitOid": COMMIT, "commitUrl": f"{self.server.address}/u/m/commit/{COMMIT}", "success": True})
        return self.send_error(404)

    def do_HEAD(self):
        self._get(with_body=False)

    def do_GET(self):
        self._get(with_body=True)

    def _get(self, *, with_body):
        if "/tree/" in self.path:
            held = self.server.files.items()
            return self._json(
                [{"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()} for n, d in held]
            )
        if "/api/models/" in self.path:
            files = [{"rfilename": name} for name in self.server.files]
            found = {"id": "u/m", "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0, "likes": 0}
            return self._json(found) if self.server.files else self.send_error(404)
        name = self.path.partition("/resolve/")[2].partition("/")[2].partition("?")[0]
        if name not in self.server.files:
            return self.send_error(404)
        data = self.server.files[name]
        self.send_response(200)
        heads = {"ETag": hashlib.sha256(data).hexdigest(), "X-Repo-Commit": COMMIT, "Content-Length": str(len(data))}
        for key, value in heads.items():
            self.send_header(key, value)
        self.end_headers()
        return self.wfile.write(data) if with_body else None

    def _json(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def hub():
    """The server: its `address`, and what it holds by name in `files`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.address, server.files = f"http://127.0.0.1:{server.server_address[1]}", {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
