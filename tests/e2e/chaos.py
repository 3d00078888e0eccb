# SPDX-License-Identifier: Apache-2.0
"""Faults between a drill and two real clouds: one is made at some of the requests, and the drill gone on with after each stop.

`test_chaos` makes each fault in one drill, some of them in `make test`; `bench.chaos` (`make chaos`) makes each at twenty places. What is on the
clouds is counted by `inventory`, which uses openstacksdk and nothing of Unterbau.

A place is a number of a request, counted over all attempts of a drill (`Fault`). What an attempt asks that an earlier one asked already is not
counted: else the places of a drill that stops early would all fall on the beginnings of its attempts, and none on what comes late.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import inventory
import trustme
import watched
import yaml
from front import Front, standing
from lying_cloud import Asked, Stranger, Told
from people import somebody

MIB = 2**20
BOUNDS = "connect=10,answer=20,silence=30,idle=5,window=4,slowest=2000,operation=60,pause=2,mib=4"
"""Scaled down, so that a fault which is waited out does not take long; the requests of a small tenant stay within."""
MORE_ATTEMPTS = 3
"""That many a drill may have beyond one a place."""
ATTEMPT_SECONDS = 1200.0
HANG_SECONDS = 120.0


# --- the faults


class Cut(OSError):
    """Ends a connection (the server takes every OSError so)."""


Done = Callable[[], Told]
Way = Callable[[Asked, Done], Told]


def _status(status: int, **headers: str) -> Way:
    """Refused by something in front of the service: nothing was done."""
    told = {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda asked, do: Told(status, {"error": {"message": "chaos", "code": status}}, told)


def _body(body: bytes, **headers: str) -> Way:
    """Something else in place of the answer; nothing was done."""
    told = {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda asked, do: Told(200, body, told)


def _half(client: socket.socket, data: bytes) -> None:
    client.sendall(data[: max(1, len(data) // 2)])
    raise Cut


def _nothing(client: socket.socket, data: bytes) -> None:
    raise Cut


def _silent(client: socket.socket, data: bytes) -> None:
    """Until the other side goes away."""
    client.settimeout(HANG_SECONDS)
    with contextlib.suppress(OSError):
        client.recv(1)
    raise Cut


def _drip(client: socket.socket, data: bytes) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    client.sendall(head + b"\r\n\r\n")
    for byte in body:
        client.sendall(bytes([byte]))
        time.sleep(1)


def _answered(way: Callable[[socket.socket, bytes], None], *, done: bool) -> Way:
    """The service does it, or not, and its answer goes this way."""
    return lambda asked, do: replace(do() if done else Told(200, b"x" * 200), way=way)


def _longer(asked: Asked, do: Done) -> Told:
    """The answer ends before the length that it told."""
    told = do()
    data = told.encoded(asked.method).partition(b"\r\n\r\n")[2]
    return replace(told, headers={**told.headers, "Content-Length": str(len(data) + 100)}, way=_whole_and_cut)


def _whole_and_cut(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    raise Cut


FAULTS: dict[str, Way] = {
    "500": _status(500),
    "502, a page": lambda asked, do: Told(502, b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"}),
    "503, Retry-After: 1": _status(503, retry_after="1"),
    "503, Retry-After: 10^26": _status(503, retry_after="1" + "0" * 26),
    "429": _status(429),
    "429, Retry-After: -5": _status(429, retry_after="-5"),
    "504, but done": lambda asked, do: (do(), Told(504, {"error": {"message": "chaos"}}))[1],
    "cut before an answer": _answered(_nothing, done=False),
    "cut before the answer, but done": _answered(_nothing, done=True),
    "cut in the answer": _answered(_half, done=True),
    "shorter than it tells": _longer,
    "a byte a second": _answered(_drip, done=True),
    "silence": _answered(_silent, done=False),
    "silence, but done": _answered(_silent, done=True),
    "401": _status(401, www_authenticate="Keystone uri='https://127.0.0.1'"),
    "HTML in place of JSON": _body(b"<html><body>Maintenance</body></html>", content_type="text/html"),
    "no text at all": _body(bytes(range(256)) * 8),
    "JSON 200,000 deep": _body(b"[" * 200_000 + b"]" * 200_000),
    "JSON of 8 MiB where 4 are allowed": _body(b"[" + b"1234567," * MIB + b"1]"),
    "a gzip bomb": _body(gzip.compress(b" " * (400 * MIB), 1), content_encoding="gzip"),
    "a redirect to another host": lambda asked, do: Told(307, None, {"Location": "astray"}),
    "another certificate": _answered(_nothing, done=False),
}
"""Each by its name: what a caller meets at one request. `done` is told where the service does what was asked."""


class Disturbed(Front):
    """A relay that disturbs some requests. Several share a `Fault`, which counts them all."""

    def __init__(self, authority: trustme.CA, behind: Any, ca: Path, fault: Fault, address: str) -> None:
        self._fault = fault
        self._lock = threading.Lock()
        self._impostors = 0
        super().__init__(authority, behind, ca, address)
        self._own = self._tls

    def answer(self, asked: Asked) -> Told:
        if not self._fault.falls_on(asked):
            return super().answer(asked)
        told = FAULTS[self._fault.name](asked, lambda: super(Disturbed, self).answer(asked))
        if self._fault.name == "another certificate":
            with self._lock:
                self._impostors = 2
        if told.headers.get("Location") == "astray":
            told = replace(told, headers={"Location": f"https://{self._fault.stranger.place}{asked.target}"})
        return told

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            impostor, self._impostors = self._impostors > 0, max(0, self._impostors - 1)
        if impostor:
            with (
                contextlib.suppress(OSError),
                self._fault.impostor(self.host).wrap_socket(client, server_side=True) as it,
            ):
                it.recv(1)
            client.close()
        else:
            super()._serve(client)


@dataclass
class Fault:
    """Which fault, and at which of the requests that all relays pass (from 1).

    A request that was disturbed is let through when it comes again in the same attempt, whatever its number: the place that would have
    fallen on it falls on the next one.
    """

    stranger: Stranger
    name: str = ""
    places: tuple[int, ...] = ()
    """Those still to come, in order."""
    count: int = 0
    hits: list[tuple[int, str]] = field(default_factory=list)
    """The places that came in this attempt, with method and path of the request."""
    quiet: float = 0.0
    """The longest time without a request (seconds)."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _earlier: Counter[str] = field(default_factory=Counter)
    """How often each request came in one of the earlier attempts, at most."""
    _now: Counter[str] = field(default_factory=Counter)
    _disturbed: set[str] = field(default_factory=set)
    """Requests that have not come again yet."""
    _last: float = 0.0

    def begin(self, name: str, places: Sequence[int]) -> None:
        """A drill, before its first attempt."""
        self.name, self.places, self.count, self.quiet = name, tuple(sorted(places)), 0, 0.0
        self._earlier.clear()
        self._now.clear()

    def attempt(self) -> None:
        """The drill is begun, or gone on with."""
        with self.lock:
            self._earlier |= self._now
            self._now.clear()
            self._disturbed.clear()
            self.hits, self._last = [], time.monotonic()

    def ended(self) -> None:
        """The attempt."""
        with self.lock:
            self.quiet = max(self.quiet, time.monotonic() - self._last)

    def falls_on(self, asked: Asked) -> bool:
        request = f"{asked.method} {asked.target}"
        with self.lock:
            now = time.monotonic()
            self.quiet, self._last = max(self.quiet, now - self._last), now
            self._now[request] += 1
            if self._now[request] <= self._earlier[request]:
                return False
            self.count += 1
            if request in self._disturbed:
                self._disturbed.discard(request)
                return False
            if not self.places or self.count < self.places[0]:
                return False
            self.hits.append((self.places[0], f"{asked.method} {asked.path}"))
            self.places = self.places[1:]
            self._disturbed.add(request)
            return True

    def impostor(self, host: str) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert(host).configure_cert(context)
        return context


# --- two clouds and a small tenant


@dataclass
class Stage:
    """Two projects of their own with relays before them, and the clouds.yaml `file` that names them."""

    fault: Fault
    source: Any
    target: Any
    file: Path
    before: tuple[Any, Any] = ()  # type: ignore[assignment]
    requests: int = 0
    """How many an undisturbed drill makes."""
    relays: tuple[Front, ...] = ()

    def standing(self) -> tuple[Any, Any]:
        return inventory.everything(self.source), inventory.everything(self.target)

    def renew(self) -> None:
        """Whatever a drill left on them, both are as at the beginning."""
        inventory.sweep(self.target)
        inventory.sweep(self.source)
        plant(self.source)
        self.before = self.standing()


@contextmanager
def stage(clouds: tuple[str, str], folder: Path, number: int = 0) -> Iterator[Stage]:
    """New projects on both, the first with one thing of each kind; an undisturbed drill has been run between them.

    Several stand beside each other on the same clouds, each with its `number`.
    """
    here, there, elsewhere = (f"127.0.0.{3 + 3 * number + n}" for n in range(3))
    authority = trustme.CA()
    fault = Fault(Stranger(authority, elsewhere))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(somebody(cloud)) for cloud in clouds]
        for connection in connections:
            stack.callback(inventory.sweep, connection)
        entries: dict[str, Any] = {}
        relays: list[Front] = []
        for name, connection, address in zip(("here", "there"), connections, (here, there), strict=True):
            own = folder / name
            own.mkdir(parents=True)
            made = functools.partial(Disturbed, fault=fault, address=address)
            relays.append(stack.enter_context(standing(connection, own, name, made)))
            entries |= yaml.safe_load((own / "clouds.yaml").read_text())["clouds"]
        file = folder / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": entries}))
        plant(connections[0])
        source, target = connections
        made_stage = Stage(fault, source, target, file, relays=tuple(relays))
        made_stage.before = made_stage.standing()
        first = play(made_stage, folder / "undisturbed")
        assert first.codes[-1] in (0, 3) and first.left == "", first
        made_stage.requests = fault.count
        yield made_stage


def plant(c: Any) -> None:
    """One thing of each kind, by openstacksdk."""
    net = c.network.create_network(name="net")
    sub = c.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.20.0.0/24", name="sub")
    public = c.network.find_network("public")
    router = c.network.create_router(name="edge", external_gateway_info={"network_id": public.id})
    c.network.add_interface_to_router(router, subnet_id=sub.id)
    group = c.network.create_security_group(name="web")
    c.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=443,
        port_range_max=443, remote_ip_prefix="192.0.2.0/24",
    )  # fmt: skip
    c.network.create_address_group(name="offices", addresses=["198.51.100.0/24"])
    port = c.network.create_port(name="port", network_id=net.id, security_groups=[group.id])
    c.network.create_ip(floating_network_id=public.id, port_id=port.id)
    c.compute.create_keypair(name="key")
    c.compute.create_server_group(name="apart", policy="anti-affinity")
    c.image.create_image(
        name="image", data=os.urandom(MIB), disk_format="raw", container_format="bare", visibility="private"
    )
    tiny = c.image.find_image("unterbau-tiny")
    disk = c.block_storage.create_volume(name="disk", size=1, image_id=tiny.id)
    c.block_storage.wait_for_status(disk, interval=0.2, wait=120)
    root = {"boot_index": 0, "uuid": disk.id, "source_type": "volume", "destination_type": "volume"}
    flavor = c.compute.find_flavor("SCS-2V-4")
    server = c.compute.create_server(
        name="server", flavor_id=flavor.id, networks=[{"port": port.id}], block_device_mapping_v2=[root]
    )
    c.compute.wait_for_server(server, wait=180)
    c.object_store.create_container(name="box")
    for name in ("one", "two"):
        c.object_store.create_object("box", name, data=os.urandom(1000))
    c.key_manager.create_secret(
        name="secret", payload="c2VjcmV0", payload_content_type="application/octet-stream",
        payload_content_encoding="base64",
    )  # fmt: skip


# --- a drill that is gone on with


@dataclass(frozen=True)
class Hit:
    """What became of a drill after one place."""

    at: int
    asked: str
    """Method and path of the disturbed request."""
    stopped: tuple[int, ...] = ()
    """Exit codes of the attempts that ended after it, before another place came."""

    @property
    def outcome(self) -> str:
        """In words, for the table."""
        return f"stopped with {' and '.join(map(str, self.stopped))}, then finished" if self.stopped else "gone past"


@dataclass(frozen=True)
class Played:
    """What became of one disturbed drill."""

    hits: tuple[Hit, ...]
    missed: tuple[int, ...]
    """Places that had not come when it had finished."""
    codes: tuple[int, ...]
    """Exit code of each attempt."""
    seconds: float
    """The longest attempt."""
    quiet: float
    """The longest time without a request."""
    peak: int
    """Most memory of one process, bytes."""
    left: str
    """What differs on the clouds from before."""
    told: str
    """The end of what the last attempt said."""
    defects: tuple[str, ...]


def drawn(part: int, parts: int, requests: int, seed: str) -> int:
    """A place in that one of the equal parts of a drill, so that some of several places come late in it."""
    first, last = requests * part // parts + 1, requests * (part + 1) // parts
    return random.Random(f"{seed} {part}").randint(first, max(first, last))


def play(on: Stage, home: Path, name: str = "", places: Sequence[int] = ()) -> Played:
    """The drill with that fault at those places, again until it ends well; and what is left on the clouds."""
    fault, strangers = on.fault, on.fault.stranger.connections
    fault.begin(name, places)
    for relay in on.relays:
        relay.asked.clear()  # with bodies, of each drill that was
    home.mkdir(parents=True)
    codes, hits, defects = [], list[Hit](), list[str]()
    seconds, peak, told = 0.0, 0, ""
    for number in range(1 + len(places) + MORE_ATTEMPTS):
        fault.attempt()
        code, taken, most, told = _attempt(on, home, number)
        fault.ended()
        codes.append(code)
        seconds, peak = max(seconds, taken), max(peak, most)
        hits += [Hit(at, asked) for at, asked in fault.hits]
        if "Traceback" in told:
            defects.append("a traceback")
        if code in (0, 3):
            break
        if code == LATE:
            defects.append(f"did not end within {ATTEMPT_SECONDS:.0f} s")
            break
        if hits:
            hits[-1] = replace(hits[-1], stopped=(*hits[-1].stopped, code))
    else:
        defects.append(f"never finished: {codes}")
    left = _difference(on.before, on.standing()) if on.before else ""
    if left:
        defects.append(f"left: {left}")
    if peak > 512 * MIB:
        defects.append(f"{peak // MIB} MiB")
    if fault.stranger.connections > strangers:
        defects.append("it went to another host")
    return Played(
        tuple(hits), fault.places, tuple(codes), seconds, fault.quiet, peak, left, told[-3000:], tuple(defects)
    )


LATE = -9
"""The exit code of an attempt that was killed since it did not end."""


def _attempt(on: Stage, home: Path, number: int) -> tuple[int, float, int, str]:
    """Exit code, seconds, most memory, and what it told of itself."""
    env = {**os.environ, "XDG_STATE_HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(on.file)}
    command = [sys.executable, "-m", "unterbau", "drill", "here", "there", "--format", "json", "--late-writes", "5",
               "--bounds", BOUNDS]  # fmt: skip
    with (home / f"out{number}").open("wb") as out, (home / f"err{number}").open("wb") as err:
        child = subprocess.Popen(command, env=env, stdout=out, stderr=err)
        try:
            taken, most = watched.ended(child, ATTEMPT_SECONDS)
        except AssertionError:
            taken, most = ATTEMPT_SECONDS, 0
            child.kill()
            child.wait()
    return child.returncode, taken, most, (home / f"err{number}").read_text(errors="replace")


def _difference(before: tuple[Any, Any], after: tuple[Any, Any]) -> str:
    found = []
    for side, was, now in zip(("source", "target"), before, after, strict=True):
        for kind in was:
            gone, new = set(was[kind]) - set(now[kind]), set(now[kind]) - set(was[kind])
            found += [f"{side} {kind} gone {sorted(gone)}"] * bool(gone) + [f"{side} {kind} new {sorted(new)}"] * bool(
                new
            )
    return "; ".join(found)
