# SPDX-License-Identifier: Apache-2.0
"""Requests and time of `prove`, against the requests of the reference suite one after the other, with its own library.

`python -m bench.prove`, on one embedded cloud, with 0, 50 and 200 ms added to every way from client to cloud by a
forwarder of plain TCP (TLS passes through it untouched). Each run is a process of its own, its start included. The reference
suite is not run: what it asks was counted (8 requests that read, 55 for the four writing cases). Its reads are made by
openstacksdk and boto3, as it makes them, and judged by nobody; instead of its writes as many cheap reads are made, without
any waiting for servers and volumes. So its row is a lower bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bench.page import installed, publish

NAME = "bench"
LATENCIES_MS = (0, 50, 200)
RUNS = 5


class Forwarder:
    """Plain TCP to some addresses, each by a port of its own; what the client sends arrives `seconds` later.

    One thread carries everything, so that hundreds of connections cost the machine little.
    """

    def __init__(self, places: Iterable[tuple[str, int]], seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.ports = {place: self._run(self._listen(place)) for place in places}

    def _run(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self, place: tuple[str, int]) -> int:
        server = await asyncio.start_server(partial(self._carry, place), "127.0.0.1", 0, backlog=256)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _carry(self, place: tuple[str, int], client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.closing(answers):
            server, asked = await asyncio.open_connection(*place)
            with contextlib.closing(asked):
                late = asyncio.create_task(self._late(client, asked))
                while data := await server.read(65536):
                    answers.write(data)
                    await answers.drain()
            late.cancel()

    async def _late(self, client: asyncio.StreamReader, asked: asyncio.StreamWriter) -> None:
        try:
            while data := await client.read(65536):
                self._loop.call_later(self._seconds, asked.write, data)
        finally:  # a client that reset its connection waits for nothing any more
            self._loop.call_later(self._seconds, asked.close)

    def close(self) -> None:
        """No connection is taken any more, and those that are there end."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _end(self) -> int:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        return len(under_way)


def once(what: str, name: str, ports: Mapping[tuple[str, int], int]) -> tuple[int, float, float]:
    """Requests, seconds and the CPU's seconds of one process."""
    led = json.dumps([[*place, port] for place, port in ports.items()])
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    argv = [sys.executable, "-m", "bench.prove_once", what, name, led]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=installed())
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(done.stdout.split()[-1]), seconds, cpu


def timed(name: str, ports: Mapping[tuple[str, int], int]) -> dict[str, tuple[int, float, float]]:
    """Of each, its requests and the medians of its times. They take turns: what else the machine does meets all of them."""
    runs = [{what: once(what, name, ports) for what in WHAT} for _ in range(RUNS)]
    return {
        what: (
            runs[0][what][0],
            statistics.median(r[what][1] for r in runs),
            statistics.median(r[what][2] for r in runs),
        )
        for what in WHAT
    }


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
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(embedded.clouds_file(NAME))  # for openstacksdk, too
    name = f"{NAME}-reader"
    try:
        where, before = places(name), os.getloadavg()[1]
        once("default", name, {})  # the first requests of a cloud are slower
        rows = {what: [told] for what, told in WHAT.items()}
        seconds: dict[tuple[str, int], float] = {}
        for latency in LATENCIES_MS:
            forwarder = Forwarder(where, latency / 1000)
            for what, (count, took, cpu) in timed(name, forwarder.ports).items():
                seconds[what, latency] = took
                rows[what] += [str(count), f"{cpu:.2f} s"] * (latency == LATENCIES_MS[0]) + [f"{took:.2f} s"]
                print(what, latency, count, f"{took:.2f} ({cpu:.2f} of CPU)", flush=True)
            forwarder.close()
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
        f"median of {RUNS} runs that took turns, each a process of its own with its start, while {before:.1f} to {os.getloadavg()[1]:.1f} "
        "processes wanted a core (ours among them). The latency is added to every way from client to "
        "cloud, TLS handshakes included. The reference suite was not run: its requests were counted; its reads were made with "
        "its libraries (openstacksdk, boto3), and as many cheap reads instead of its writes, without any waiting for servers "
        "and volumes, so its rows are lower bounds; its 55 writing requests decide four more cases, which `prove` tries with `--write` only.",
        ("what", "requests", "CPU", *(f"+ {ms} ms" for ms in LATENCIES_MS)),
        [*rows.values(), *ratios],
    )


if __name__ == "__main__":
    main()
