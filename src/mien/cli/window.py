"""The window of ``mien live``, where OpenCV has one."""

from __future__ import annotations

import os
import sys

from mien.results.video import VideoFrame

_QUIT = (ord("q"), ord("Q"), 27)


class Window:
    """Shows annotated frames; made by `open`."""

    def __init__(self, name: str) -> None:
        from mien.draw.overlay import VideoOverlay

        # one for all frames, so that labels keep their positions
        self._name, self._overlay = name, VideoOverlay()

    @classmethod
    def open(cls, name: str) -> Window | None:
        """A window, or None where this OpenCV is headless or there is no display."""
        # Qt ends the whole program where it finds no display
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return None
        import cv2

        try:
            cv2.namedWindow(name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error:
            return None
        return cls(name)

    def show(self, frame: VideoFrame) -> bool:
        """Show a frame; True when the user has pressed q or Escape, or closed the window."""
        import cv2

        cv2.imshow(self._name, cv2.cvtColor(self._overlay.draw(frame), cv2.COLOR_RGB2BGR))
        return self.is_closed()

    def is_closed(self) -> bool:
        """Whether the user wants to stop; to be called while no frame arrives, too, or the window freezes."""
        import cv2

        if cv2.waitKey(1) & 0xFF in _QUIT:
            return True
        return cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1

    def close(self) -> None:
        """Close the window."""
        import cv2

        cv2.destroyWindow(self._name)
