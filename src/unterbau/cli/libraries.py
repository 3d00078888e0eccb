# SPDX-License-Identifier: Apache-2.0
"""What other libraries would print on the terminal, counted and told once. `frame` listens while a command runs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unterbau.face import Face


class Libraries(logging.Handler):
    """Takes what libraries would print on the terminal, and what we asked a cloud again: counted, and told once.

    With --verbose line by line.
    """

    def __init__(self, face: Face) -> None:
        super().__init__(logging.WARNING)
        self._face, self._counts = face, Counter[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler`; never raises."""
        name = record.name.partition(".")[0]
        self._counts["python" if name == "py" else name] += 1
        with suppress(TypeError, ValueError):  # arguments that do not fit the text are the library's own fault
            self._face.detail(f"{record.name}: {record.getMessage()}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """As long as a command runs, also for warnings of Python."""
        root = logging.getLogger()
        root.addHandler(self)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.removeHandler(self)
            again = self._counts.pop("unterbau", 0)
            if again:
                self._face.say(f"asked again after no answer or a fault: {again} (-v shows it)")
            if self._counts:
                told = ", ".join(f"{name} {count}" for name, count in sorted(self._counts.items()))
                self._face.say(
                    f"libraries warned of what they then mended themselves, or we report: {told} (-v shows it)"
                )
