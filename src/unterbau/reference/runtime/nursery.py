# SPDX-License-Identifier: Apache-2.0
"""Load once what most services load, then start each as a fork: `nursery.py CLOUD MODULE...`.

CLOUD is for those who look at processes. The orders come over the socket at file descriptor 0.

An order is one message: JSON `{"argv": [python, program, ...], "env": {...}}` with two file descriptors, the lifeline
and the log. The answer is the process id. The service is the child of who ordered it (a subreaper), not of this
process. End-of-file ends this process; what it started lives on.

No MODULE may start a thread or choose a way of threading: eventlet and what loads it stay out.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import warnings

ENOUGH = 2**16
"""Bytes of the longest order."""


def main(modules):
    """Load, then fork until the orders end. Returns only in a service: its command line."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            importlib.import_module(name)
    know_entry_points()
    gc.freeze()
    with socket.socket(fileno=0) as orders:
        while True:
            text, received, _, _ = socket.recv_fds(orders, ENOUGH, 2)
            if not text:
                os._exit(0)
            order, (lifeline, log) = json.loads(text), received
            reading, writing = os.pipe()
            between = os.fork()
            if not between:
                service = os.fork()
                if service:
                    os.write(writing, str(service).encode())
                    os._exit(0)
                os.close(reading)
                os.close(writing)
                orders.detach()
                return become(order, lifeline, log)
            os.close(writing)
            told = os.read(reading, 20)
            os.close(reading)
            os.waitpid(between, 0)
            for handle in received:
                os.close(handle)
            orders.send(told)


def know_entry_points():
    """Each service asks what the packages of the runtime offer; stevedore remembers for a process, and so for its forks.

    Its cache on the disk serves no runtime below /tmp, and is read anew by each service.
    """
    from stevedore import ExtensionManager

    ExtensionManager("unterbau.none")


def become(order, lifeline, log):
    """Be a process as `exec` in a session of its own would have made one; its command line."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, place)
    for source in (nothing, log):
        os.close(source)
    os.environ.clear()
    os.environ.update(order["env"] | {order["lifeline"]: str(lifeline)})
    return order["argv"][1:]


if __name__ == "__main__":
    sys.argv = main(sys.argv[2:])
    gc.enable()
    with open("/proc/self/comm", "w") as comm:  # `ps` and `top` name it by this
        comm.write(os.path.basename(sys.argv[0])[:15])
    runpy.run_path(sys.argv[0], run_name="__main__")
