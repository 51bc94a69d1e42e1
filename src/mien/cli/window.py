"""The window of ``mien live``, by Tk."""

from __future__ import annotations

import os
import sys
from typing import Any

from mien.results.video import VideoFrame

_LARGEST_SHARE = 0.9
"""Share of the screen's sides that the window takes at most."""


def has_display() -> bool:
    """Whether a window could appear: always but on Linux, which needs X or Wayland."""
    linux = sys.platform.startswith("linux")
    return not linux or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_tk() -> bool:
    """Whether this Python can make windows; some distributions ship Tk as a package of its own."""
    try:
        import tkinter  # noqa: F401

        from PIL import ImageTk  # noqa: F401
    except ImportError:
        return False
    return True


class FrameWindow:
    """Shows annotated frames; made by `open`."""

    def __init__(self, name: str, root: Any) -> None:
        import tkinter

        from mien.draw.overlay import VideoOverlay

        # one for all frames, so that labels keep their positions
        self._root, self._overlay = root, VideoOverlay()
        self._closed = False
        self._picture: Any = None
        root.title(name)
        root.configure(background="black")
        self._label = tkinter.Label(root, borderwidth=0, background="black")
        self._label.pack(fill="both", expand=True)
        for key in ("q", "Q", "Escape"):
            root.bind(f"<Key-{key}>", self._quit)
        root.protocol("WM_DELETE_WINDOW", self._quit)

    @classmethod
    def open(cls, name: str) -> FrameWindow | None:
        """A window, or None where this Python has no Tk or there is no display."""
        if not has_display():
            return None
        if not has_tk():
            return None
        import tkinter

        try:
            root = tkinter.Tk(className="mien")
        except (RuntimeError, tkinter.TclError):
            return None
        return cls(name, root)

    def show(self, frame: VideoFrame) -> bool:
        """Show a frame; True when the user has pressed q or Escape, or closed the window."""
        from PIL import Image, ImageTk

        picture = Image.fromarray(self._overlay.draw(frame))
        limit = [
            int(_LARGEST_SHARE * side) for side in (self._root.winfo_screenwidth(), self._root.winfo_screenheight())
        ]
        shown = self._picture
        if picture.width > limit[0] or picture.height > limit[1]:
            picture.thumbnail((limit[0], limit[1]))
        if shown is None or (shown.width(), shown.height()) != picture.size:
            self._picture = ImageTk.PhotoImage(picture, master=self._root)
            self._label.configure(image=self._picture)
        else:
            shown.paste(picture)
        return self.is_closed()

    def is_closed(self) -> bool:
        """Whether the user wants to stop; to be called while no frame arrives, too, or the window freezes."""
        if not self._closed:
            self._root.update()
        return self._closed

    def close(self) -> None:
        """Close the window."""
        self._closed = True
        self._root.destroy()

    def _quit(self, event: object = None) -> None:
        self._closed = True
