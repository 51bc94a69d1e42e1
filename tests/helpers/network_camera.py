"""An MJPEG camera on the network that stalls, breaks and refuses on demand."""

from __future__ import annotations

import http.server
import time
from dataclasses import dataclass, field

import cv2

from helpers.clips import numbered

Step = tuple[str, float]
"""("frames", n), ("pause", seconds), ("broken", n), ("status", code), ("silent", seconds)."""


@dataclass
class Sender:
    """An MJPEG camera: each connection goes through the next list of steps; with none left, it is refused (503)."""

    connections: list[list[Step]]
    rate: float = 50.0
    port: int = 0
    seen: list[str] = field(default_factory=list)
    sent: int = 0

    @property
    def address(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.port}/cam?token=hidden"


class Handler(http.server.BaseHTTPRequestHandler):
    sender: Sender

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        sender = self.sender
        sender.seen.append(self.path)
        steps = sender.connections.pop(0) if sender.connections else [("status", 503)]
        try:
            for what, value in steps:
                if what == "status":
                    self.send_error(int(value))
                    return
                if what == "silent":
                    time.sleep(value)
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for what, value in steps:
                if what == "pause":
                    time.sleep(value)
                for _ in range(int(value) if what in ("frames", "broken") else 0):
                    self._send(what)
                    time.sleep(1 / sender.rate)
        except OSError:
            pass  # the receiver has gone

    def _send(self, what: str) -> None:
        picture = cv2.imencode(".jpg", numbered(self.sender.sent)[..., ::-1])[1].tobytes()
        self.sender.sent += 1
        data = picture if what == "frames" else picture[:2] + bytes(len(picture) - 2)
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data + b"\r\n")
