# SPDX-License-Identifier: Apache-2.0
"""The process of a cloud's supervisor: `python -m unterbau.reference.supervise NAME`.

It detaches, takes the lock `supervisor.lock` for as long as it lives, and runs until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys

from unterbau import files
from unterbau.reference import plant


def main(name: str) -> int:
    """Detach and supervise the prepared cloud `name`; the exit status is 1 if the start failed."""
    layout = plant.load(name)
    if os.fork():
        # The launcher waits for this parent only; the child belongs to nobody and leaves no zombie.
        os._exit(0)
    lock = files.take(layout.root / "supervisor.lock")
    if lock is None:
        return 0
    supervisor = plant.supervisor(layout)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
