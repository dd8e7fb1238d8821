"""Progress on standard error: one line that updates on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
from typing import TextIO

WIDTH = 30


class Progress:
    """Says what is going on. `close` wipes the updating line; `live`: it goes to a terminal."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stderr
        self.live = self._out is not None and self._out.isatty()
        self._line = ""
        self._told = ""

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self.close()
        self._write(f"{text}\n")

    def share(self, text: str, done: float) -> None:
        """Show a bar, `done` from 0 to 1; off a terminal only the first call of a text is shown."""
        full = int(done * WIDTH)
        bar = "#" * full + "." * (WIDTH - full)
        self.update(text, f"{text} [{bar}] {done:4.0%}")

    def update(self, text: str, shown: str | None = None) -> None:
        """Replace the updating line; off a terminal write a line when `text` is new."""
        if not self.live:
            if text != self._told:
                self._write(f"{text}\n")
            self._told = text
            return
        line = shown or text
        if line != self._line:
            self._write("\r" + line.ljust(len(self._line)))
        self._line = line

    def close(self) -> None:
        """Wipe the updating line, so that what follows starts at the margin."""
        if self._line:
            self._write("\r" + " " * len(self._line) + "\r")
        self._line = ""

    def finish(self) -> None:
        """Wipe the updating line and say no more: what follows belongs to somebody else."""
        self.close()
        self._out = None

    def _write(self, text: str) -> None:
        if self._out is not None:
            self._out.write(text)
            self._out.flush()
