# SPDX-License-Identifier: Apache-2.0
"""Requests and time of `prove`, against as many requests one after the other as the reference suite makes.

`python -m bench.prove`, on one embedded cloud, with 0, 50 and 200 ms added to every way from client to cloud by a
forwarder of plain TCP (TLS passes through it untouched). Each run is a process of its own, its start included. The reference
suite is not run: its 63 requests were counted (8 that read, 55 for the four writing cases), and as many cheap reads of the
same services are made one after the other by our own HTTP client, without any waiting for servers and volumes. So its row
is a lower bound.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bench.page import publish

NAME = "bench"
LATENCIES_MS = (0, 50, 200)
RUNS = 3
READING = (
    ("compute", "/"), ("compute", "/flavors/detail?is_public=None"), ("image", "/images?limit=1"),
    ("image", "/images?member_status=all"), ("block-storage", "/types"), ("network", "/default-security-group-rules"),
)  # fmt: skip
"""Of its 8 that read; the token and one question to S3 come to it."""
WRITING = (
    *[("key-manager", "/v1/secrets?limit=1")] * 5,
    *[("block-storage", "/volumes?limit=1")] * 25,
    *[("compute", "/servers?limit=1")] * 15,
    *[("network", "/networks?limit=1")] * 10,
)
"""Instead of its 55 for secrets (5), backup (25) and the server with its network (25)."""


class Forwarder:
    """Plain TCP to one address; what the client sends arrives `seconds` later."""

    def __init__(self, target: tuple[str, int], seconds: float) -> None:
        self.target, self.seconds = target, seconds
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address: tuple[str, int] = self.listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server = _CONNECT(self.target, timeout=60)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            for work in (partial(_read, client, late, self.seconds), partial(_write, server, late)):
                threading.Thread(target=work, daemon=True).start()
            with client:
                while data := server.recv(65536):
                    client.sendall(data)


def _read(client: socket.socket, late: queue.SimpleQueue[tuple[float, bytes]], seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = client.recv(65536)
        except OSError:
            data = b""
        late.put((time.perf_counter() + seconds, data))


def _write(server: socket.socket, late: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = late.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            if not data:
                server.shutdown(socket.SHUT_WR)
                return
            server.sendall(data)


_CONNECT: Callable[..., socket.socket] = socket.create_connection


def lead(forwarders: dict[tuple[str, int], tuple[str, int]]) -> None:
    """Every connection of this process to these places goes through their forwarders, for the rest of its life."""
    import urllib3.util.connection

    theirs = urllib3.util.connection.create_connection

    def plain(address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        return _CONNECT(forwarders.get(address, address), *args, **more)

    def urllib(address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        return theirs(forwarders.get(address, address), *args, **more)

    socket.create_connection = plain  # type: ignore[assignment]
    urllib3.util.connection.create_connection = urllib


def ours(name: str, *options: str) -> None:
    """`unterbau prove`, as a person calls it. Its verdicts must be those of a cloud that was seen."""
    from unterbau.cli import main

    sys.argv = ["unterbau", "prove", name, "--version", "v5.1", "--format", "json", *options]
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        main()
    proof = json.loads(told.getvalue())
    assert sum(c["outcome"] == "held" for c in proof["report"]["cases"]) > 30, "the cloud was not seen"
    looked = [p for p in proof["inventory"]["tls"] if p["status"] == "seen" and p["ciphers"]]
    assert options or len(looked) > 5, "TLS was not looked at"
    print(len(proof["inventory"]["requests"]))


def reference(name: str, *, writing: bool) -> int:
    """As many requests as the reference suite makes, one after the other; their number."""
    from unterbau import wiring

    cloud = wiring.survey(name)
    _, _, catalog = cloud.enter()
    count = 1
    for service, path in READING + (WRITING if writing else ()):
        reply = cloud.read(service, path, seconds=60)
        assert reply.request.status is not None, reply.request.error
        count += 1
    store = next(e for e in catalog if e["type"] == "object-store")
    endpoints: Any = store["endpoints"]
    root = urlsplit(endpoints[0]["url"])._replace(path="/", query="").geturl()
    assert cloud.knock(root, headers={}, seconds=60).request.status is not None
    return count + 1


def one(what: str, name: str, led: str) -> None:
    """One run, in this process: its number of requests is printed."""
    lead({(h, p): ("127.0.0.1", to) for h, p, to in json.loads(led)})
    match what:
        case "plain":
            ours(name, "--no-tls")
        case "default":
            ours(name)
        case _:
            print(reference(name, writing=what == "all"))


def timed(what: str, name: str, forwarders: dict[tuple[str, int], Forwarder]) -> tuple[int, float, float]:
    """Requests, and the medians of the seconds and of the CPU's seconds of a process."""
    led = json.dumps([[*place, f.address[1]] for place, f in forwarders.items()])
    seconds, cpu, count = [], [], 0
    for _ in range(RUNS):
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        argv = [sys.executable, "-m", "bench.prove", what, name, led]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        count = int(done.stdout.split()[-1])
    return count, statistics.median(seconds), statistics.median(cpu)


def places(name: str) -> set[tuple[str, int]]:
    """Host and port of every endpoint."""
    from unterbau import wiring

    _, subject, catalog = wiring.survey(name).enter()
    endpoints: Any = [e for entry in catalog for e in entry["endpoints"]]  # type: ignore[union-attr]
    urls = [subject.auth_url, *(str(e["url"]) for e in endpoints)]
    return {(urlsplit(u).hostname or "", urlsplit(u).port or 443) for u in urls}


WHAT = {
    "default": "`unterbau prove`, with TLS of every endpoint (the default)",
    "plain": "`unterbau prove --no-tls`",
    "reading": "reference: the 8 that read, one after the other",
    "all": "reference: all 63, one after the other",
}


def main() -> None:
    """Measure and publish."""
    from unterbau import reference as embedded

    embedded.up(NAME, progress=print)
    name = f"{NAME}-reader"
    try:
        where = places(name)
        timed("default", name, {})  # the first requests of a cloud are slower
        rows = {what: [told] for what, told in WHAT.items()}
        seconds: dict[tuple[str, int], float] = {}
        for latency in LATENCIES_MS:
            forwarders = {place: Forwarder(place, latency / 1000) for place in where}
            for what in WHAT:
                count, took, cpu = timed(what, name, forwarders)
                seconds[what, latency] = took
                rows[what] += [str(count), f"{cpu:.2f} s"] * (latency == LATENCIES_MS[0]) + [f"{took:.2f} s"]
                print(what, latency, count, f"{took:.2f} ({cpu:.2f} of CPU)", flush=True)
            for forwarder in forwarders.values():
                forwarder.listener.close()
    finally:
        embedded.down(NAME)
    ratios = [
        [f"{word} / {told}", "", "", *(f"{seconds[theirs, ms] / seconds[our, ms]:.1f} x" for ms in LATENCIES_MS)]
        for word, theirs in (("the 8", "reading"), ("all 63", "all"))
        for told, our in (("the default", "default"), ("--no-tls", "plain"))
    ]
    publish(
        "prove",
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.prove` on 2 cores, one embedded cloud, reader rights, "
        f"median of {RUNS}, each run a process of its own with its start. The latency is added to every way from client to "
        "cloud, TLS handshakes included. The reference suite was not run: its requests were counted, and as many cheap reads "
        "were made without any waiting for servers and volumes, so its rows are lower bounds; its 55 writing requests decide "
        "four more cases, which `prove` tries with `--write` only.",
        ("what", "requests", "CPU", *(f"+ {ms} ms" for ms in LATENCIES_MS)),
        [*rows.values(), *ratios],
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        one(*sys.argv[1:])
    else:
        main()
