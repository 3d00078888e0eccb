# SPDX-License-Identifier: Apache-2.0
"""Connections that nobody waits at for ever, answers that are bounded before they are decoded, and asking again.

`transport` (below keystoneauth) and `swift` send through it, so the same holds for every service: the bounds are those
of `waiting.heeded`. One thread looks at every connection at which another thread of ours stands waiting: a body that
stands still or crawls, and any wait after the process was asked to stop, ends by shutting the connection. Whether bytes
move is asked of the kernel (Linux' TCP_INFO), so nothing is copied or counted on the way; where it tells nothing, only
the connection's own time-out ends a silence. Not here: where a request may go (`transport`), and what an answer means.
"""

from __future__ import annotations

import functools
import http.client
import json
import logging
import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from unterbau import nesting
from unterbau.cloud.bounds import Bounds
from unterbau.cloud.openstack.errors import FOREIGN, GaveUp, clean, never_sent, untrusted
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.waiting import Heed, heeded
from unterbau.errors import Broken, Interrupted

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
CHUNK = 1 << 20
LOOK_SECONDS = 0.5
"""So often somebody looks at the connections at which somebody waits."""
GRACE_SECONDS, TIDYING_SECONDS = 1.0, 10.0
"""A request may be answered for so long after a stop: one that was under way, and one that tidies up and began after it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
AGAIN = frozenset({429, 500, 502, 503, 504})
"""Answers after which a question is asked again; a write only after 429, which says that it was not done."""
UNREACHED = 3
"""So often a service is tried to which no connection comes about."""

Phase = Literal["connect", "send", "answer", "body"]


@dataclass
class _Wait:
    """A thread of ours at a connection."""

    connection: Any
    phase: Phase
    heed: Heed
    since: float
    moved: int | None
    """What the kernel had counted when it last moved."""
    late: bool
    """Whether it began after a stop."""
    stopped: float | None = None
    given_up: str = ""


@dataclass
class _Pace:
    """What one body took so far: seconds in which we waited for it, and bytes, since the window began."""

    seconds: float = 0.0
    bytes: int = 0


class _Watch:
    """The one thread that looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[int, _Wait] = {}
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, connection: Any, phase: Phase) -> Iterator[None]:
        """Within it this thread may stand still at the connection. Raises GaveUp if it was ended."""
        heed = heeded()
        wait = _Wait(connection, phase, heed, time.monotonic(), _moved(connection, phase), heed.stop.is_set())
        with self._lock:
            self._waits[id(wait)] = wait
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="wire", daemon=True)
                self._thread.start()
            self._some.set()
        try:
            yield
        except Exception as error:  # whatever a shut connection is to the library above: it was us
            if wait.given_up:
                raise GaveUp(wait.given_up, sent=phase != "connect") from error
            raise
        finally:
            with self._lock:
                del self._waits[id(wait)]
                if not self._waits:
                    self._some.clear()
        if wait.given_up:  # a cut body may look whole
            raise GaveUp(wait.given_up, sent=phase != "connect")

    def _look(self) -> None:
        while True:
            self._some.wait()
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                for wait in self._waits.values():
                    if not wait.given_up:
                        wait.given_up = _fault(wait, now)
                        if wait.given_up:
                            _shut(wait.connection)


def _fault(wait: _Wait, now: float) -> str:
    """Why it should not go on, or nothing."""
    bounds = wait.heed.bounds
    if wait.heed.stop.is_set():
        wait.stopped = wait.stopped or now
        if now - wait.stopped >= (TIDYING_SECONDS if wait.late else GRACE_SECONDS):
            return "stopped"
    if wait.phase not in ("send", "body"):
        return ""
    moved = _moved(wait.connection, wait.phase)
    if moved is None or wait.moved is None:
        return ""
    pace: _Pace = wait.connection.pace
    if moved != wait.moved:
        pace.seconds += now - wait.since
        pace.bytes += moved - wait.moved
        wait.moved, wait.since = moved, now
    elif now - wait.since >= bounds.idle:
        return f"{bounds.idle:g} s without a byte"
    if pace.seconds + (now - wait.since) >= bounds.window:
        if pace.bytes < bounds.slowest * bounds.window:
            return f"slower than {bounds.slowest / 1000:g} kB/s for {bounds.window:g} s"
        pace.seconds, pace.bytes = 0.0, 0
    return ""


def _moved(connection: Any, phase: Phase) -> int | None:
    """Bytes that went that way over the connection so far, as Linux counts them; None where nobody does."""
    sock = connection.sock
    if not sys.platform.startswith("linux") or not isinstance(sock, socket.socket):
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
    except OSError:  # closed meanwhile
        return None
    if len(told) < 136:
        return None
    acknowledged, received = struct.unpack_from("=QQ", told, 120)
    return int(received if phase == "body" else acknowledged)


def _shut(connection: Any) -> None:
    sock = connection.sock
    if isinstance(sock, socket.socket):
        try:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # ssl's own would read on without its protection
        except OSError:  # it is closed already
            return


_WATCH = _Watch()


class _Lines:
    """What a head is read from; remembers the last line."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.last = stream, b"-"

    def readline(self, *limit: int) -> bytes:
        self.last = self._stream.readline(*limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Head(http.client.HTTPResponse):
    """An answer whose head must end with an empty line: Python takes one that broke off for whole."""

    def begin(self) -> None:
        stream: Any = self.fp
        lines: Any = _Lines(stream)
        self.fp = lines
        super().begin()
        if self.fp is lines:
            self.fp = stream
        if lines.last == b"":
            self.close()
            raise http.client.RemoteDisconnected("the answer broke off in its head")


class _Watched:
    """A connection of urllib3 that is looked at while somebody waits at it."""

    pace: _Pace
    sock: Any
    response_class: Any = _Head

    limits = Limits()
    """Of the cloud that it leads to."""

    def connect(self) -> None:
        self.pace = _Pace()
        with _WATCH.over(self, "connect"):
            super().connect()  # type: ignore[misc]
        self.sock.settimeout(heeded().bounds.silence)  # for the sending of one piece

    def request(self, *arguments: Any, **options: Any) -> None:
        self.limits.ask()
        self.pace = _Pace()
        super().request(*arguments, **options)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        for part in _parts(data, self.limits):
            with _WATCH.over(self, "send"):
                super().send(part)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self.pace = _Pace()
        with _WATCH.over(self, "answer"):
            return super().getresponse()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        """As urllib3's, but a stop is heard."""
        host, port, told = self._dns_host, self.port, self.timeout  # type: ignore[attr-defined]
        seconds = heeded().bounds.connect if told is None else told
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        last: Exception = OSError("no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():  # type: ignore[attr-defined]
                    sock.setsockopt(*option)
                _reach(sock, address, seconds)
                return sock
            except TimeoutError as error:
                sock.close()
                if isinstance(error, GaveUp):
                    raise
                last = ConnectTimeoutError(self, f"no connection to {host} within {seconds:g} s")
            except OSError as error:
                sock.close()
                last = NewConnectionError(self, f"no connection: {error.strerror or error}")  # type: ignore[arg-type]
        raise last


def _reach(sock: socket.socket, address: Any, seconds: float) -> None:
    """Connect. Raises OSError, TimeoutError, GaveUp."""
    sock.setblocking(False)
    sock.connect_ex(address)  # what it says stands in SO_ERROR, too
    poll, end, stop = select.poll(), time.monotonic() + seconds, heeded().stop
    poll.register(sock, select.POLLOUT)
    while not poll.poll(LOOK_SECONDS * 1000):
        if stop.is_set():
            raise GaveUp("stopped", sent=False)
        if time.monotonic() >= end:
            raise TimeoutError
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    sock.settimeout(seconds)


class _Plain(_Watched, HTTPConnection):
    """http."""


class _Secure(_Watched, HTTPSConnection):
    """https. All connections that trust the same authorities share what was read of them: a bundle takes its time."""

    def connect(self) -> None:
        if self.ssl_context is None and not (self.ca_cert_data or self.cert_file):
            self.ssl_context = _trusting(
                self.ca_certs, self.ca_cert_dir, resolve_cert_reqs(self.cert_reqs), _stamp(self.ca_certs)
            )
            self.ca_certs = self.ca_cert_dir = None
        super().connect()


@functools.lru_cache(maxsize=8)
def _trusting(file: str | None, folder: str | None, demands: ssl.VerifyMode, stamp: tuple[int, int]) -> ssl.SSLContext:
    """As urllib3 makes it for each connection. `stamp` is the file's: one that was renewed is read again."""
    context = create_urllib3_context(cert_reqs=demands)
    if file or folder:
        context.load_verify_locations(file, folder)
    else:
        context.load_default_certs()
    return context


def _stamp(file: str | None) -> tuple[int, int]:
    """Which state of a file this is; nothing of one that cannot be looked at: who reads it says why."""
    with suppress(OSError):
        told = os.stat(file or "")
        return told.st_mtime_ns, told.st_size
    return 0, 0


class _Limited:
    """A pool whose connections keep the limits of one cloud."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        self._limits = limits
        super().__init__(*arguments, **options)

    def _new_conn(self) -> Any:
        made = super()._new_conn()  # type: ignore[misc]
        made.limits = self._limits
        return made


class PlainPool(_Limited, urllib3.HTTPConnectionPool):
    """Watched connections to one place."""

    ConnectionCls = _Plain


class SecurePool(_Limited, urllib3.HTTPSConnectionPool):
    """Watched connections to one place."""

    ConnectionCls = _Secure


POOLS: dict[str, type[PlainPool] | type[SecurePool]] = {"http": PlainPool, "https": SecurePool}


def pools_of(limits: Limits) -> dict[str, Callable[..., PlainPool | SecurePool]]:
    """What makes the pools to the places of one cloud, by scheme."""
    return {scheme: functools.partial(made, limits=limits) for scheme, made in POOLS.items()}


def _parts(data: Any, limits: Limits) -> Iterator[Any]:
    """What is sent, in parts as the limit wants them; whole without one."""
    size = len(data) if isinstance(data, bytes | bytearray | memoryview) else 0
    most = limits.most("up", size)
    if most >= size:
        limits.pass_("up", size)
        yield data
        return
    view = memoryview(data)
    for start in range(0, size, most):
        part = view[start : start + most]
        limits.pass_("up", len(part))
        yield part


# --- bodies


def piece(raw: Any, connection: Any, size: int, *, decode: bool = False) -> bytes:
    """Up to so many bytes of a body, b"" at its end. `connection`: of the answer, asked before the first piece."""
    if not isinstance(connection, _Watched):  # nothing is to come any more
        return bytes(raw.read(size, decode_content=decode))
    with _WATCH.over(connection, "body"):
        data = bytes(raw.read(connection.limits.most("down", size), decode_content=decode))
    connection.limits.pass_("down", len(data))
    return data


def connection_of(raw: Any) -> Any:
    """At which the body of an answer arrives."""
    return getattr(raw, "connection", None)


def whole(raw: Any, what: str, *, decode: bool = True, write: bool = False) -> bytes:
    """The body of an answer. Raises Broken if it is larger than the bounds, or unpacks to more: of a `write` uncertain."""
    connection, most, got = connection_of(raw), heeded().bounds.answer_bytes, bytearray()
    while chunk := piece(raw, connection, CHUNK, decode=decode):
        got += chunk
        if len(got) > most:
            raw.close()
            raise _unread(f"{what}: the answer has more than {most / 2**20:g} MiB", write,
                          "Ask for less; --bounds mib=N allows more.")  # fmt: skip
    return bytes(got)


def decoded(data: bytes, what: str) -> Any:
    """The JSON of an answer. Raises Broken."""
    measure(data, what)
    return parsed(data, what)


def parsed(data: bytes, what: str) -> Any:
    """The JSON of an answer that was measured. Raises Broken."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # the second one for brackets in what is no string
        raise Broken(f"{what}: the answer is not JSON") from None


def measure(data: bytes, what: str, *, write: bool = False) -> None:
    """Raises Broken if it should not be decoded as JSON: of a `write` uncertain."""
    try:
        nesting.measure(data, nesting.VALUES)
    except nesting.TooDeep:
        raise _unread(f"{what}: the answer is nested too deep, or is not JSON", write) from None
    except nesting.TooMany:
        raise _unread(f"{what}: the answer spells more than {nesting.VALUES} values", write) from None


def _unread(what: str, write: bool, remedy: str = "") -> Broken:
    """An answer that is not looked at: whether it told of something done, nobody knows."""
    broken = Broken(what, remedy)
    broken.uncertain = write
    return broken


# --- asking again


Repeat = Literal["always", "refused", "never"]
"""When a request may be sent again: it asks only; it was refused for its rate; its body is gone."""
_SINGLY: ContextVar[bool] = ContextVar("singly", default=False)


@contextmanager
def singly() -> Iterator[None]:
    """Within it this thread's requests are sent once, whatever is answered."""
    token = _SINGLY.set(True)
    try:
        yield
    finally:
        _SINGLY.reset(token)


def repeated(
    what: str, once: Callable[[], T], told: Callable[[T], tuple[int, str | None]], drop: Callable[[T], None],
    repeat: Repeat,
) -> T:  # fmt: skip
    """The answer to a request that is sent again as the bounds allow. Raises as `once`; Interrupted.

    `what`: the request, for the log. `told`: status and `Retry-After` of an answer.
    """
    safe, again = repeat == "always", AGAIN if repeat == "always" else {429} if repeat == "refused" else set[int]()
    if _SINGLY.get():
        return once()
    heed = heeded()
    bounds, pause, tried = heed.bounds, FIRST_PAUSE, 0
    end = time.monotonic() + bounds.operation
    while True:
        tried, began = tried + 1, time.monotonic()
        failed: Exception | None = None
        try:
            answer = once()
        except FOREIGN as error:
            if safe and heed.stop.is_set():
                raise Interrupted("stopped during a request", "Run the same command again.") from None
            if not safe or untrusted(error) or (never_sent(error) and tried >= UNREACHED):
                raise
            failed, wait = error, pause  # type: ignore[assignment] # none of FOREIGN ends a process
        else:
            status, after = told(answer)
            if status not in again:
                return answer
            wait = _heeded(after, bounds, pause)
        wait *= random.uniform(1.0, 1.25)  # noqa: S311 - so that not all of us come back at once
        now = time.monotonic()
        if tried >= bounds.tries or now + wait + (now - began) > end:  # it may take as long once more
            if failed is not None:
                raise failed
            return answer
        if failed is None:
            drop(answer)
        why = f"HTTP {status}" if failed is None else clean(str(failed))
        _LOG.warning("%s: %s: asking again in %.1f s", what, why, wait)
        if heed.stop.wait(wait):
            raise Interrupted("stopped while waiting to ask again", "Run the same command again.")
        pause = min(pause * 2, LONGEST_PAUSE)


def _heeded(after: str | None, bounds: Bounds, pause: float) -> float:
    """Seconds of a `Retry-After` as far as they are bearable; our own pause where it is none."""
    text = after or ""
    if not (text.isascii() and text.isdigit()):
        return pause
    return max(min(float(text[:9]), bounds.pause), FIRST_PAUSE)
