"""A static host, such as any web server, for pages that need no other."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class StaticHost:
    """A static host of a folder.

    Attributes:
        folder: what it serves.
        headers: headers of every answer.
        requests: paths that were asked for.
        sent_bytes: of the files in its answers.
    """

    folder: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    server: http.server.ThreadingHTTPServer | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve, on the port of before where it was stopped."""
        host, requests, headers = self, self.requests, self.headers

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                requests.append(self.path)

            def end_headers(self) -> None:
                for name, value in headers.items():
                    self.send_header(name, value)
                super().end_headers()

            def copyfile(self, source: Any, outputfile: Any) -> None:
                content = source.read()
                host.sent_bytes += len(content)
                outputfile.write(content)

        handler = functools.partial(Handler, directory=str(self.folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Serve no longer."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
