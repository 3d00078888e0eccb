# SPDX-License-Identifier: Apache-2.0
"""Make one disk equal to another, block by block, through two guests that have them. `helping` calls it.

Each guest is asked by the person's own ssh, with the host keys that its console told, for no more than a POSIX shell with dd,
sha256sum, grep and cat. Both hash their blocks, those that differ pass from one dd to the other, and are hashed again where they
arrived. A disk is found by the serial number that its cloud gives it, the volume's id, and must be as long as the volume: nothing
else is read or written. The bytes go through two pipes of ours, so that both ends end with us. A window of blocks is looked at
at a time: memory stays the same, however long the disk.

Not here: how guests and disks come there, and what becomes of a disk that does not end equal.
"""

from __future__ import annotations

import math
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from unterbau.saga import JsonObject, Progress
from unterbau.switch.probes.command import CAREFUL

BLOCK = 4 << 20
"""Bytes of a block."""
WINDOW = 1024
"""Blocks that are hashed before any of them is carried."""
SILENCE = 600.0
"""Seconds after which a guest that says nothing is given up; a hash of one block takes a slow one a second."""
DISK_SECONDS = 60.0
"""How long a guest may take to see a disk that was attached."""
PIECE = 1 << 20
CONNECT_SECONDS = 20
_ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=8", "TCPKeepAlive=yes", "Compression=no", "LogLevel=ERROR")
_KEY = re.compile(r"(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]{20,}={0,2}")
_KEYS = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
_HASH = re.compile(rb"[0-9a-f]{64}")
_EMPTY = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The hash of nothing: dd read no byte."""
_NO_LOGIN, _NO_DISK, _OTHER_LENGTH = 255, 91, 92
_SAID = {
    _NO_LOGIN: "ssh came to no login, or its connection broke",
    _NO_DISK: "the guest does not see the disk, or not just one of its serial number",
    _OTHER_LENGTH: "the guest sees a disk of another length",
}
_SAID_BYTES = 2**12
_SEEN = r"""
n=
for s in /sys/block/*/serial /sys/block/*/device/serial /sys/block/*/device/vpd_pg80; do
  if [ -r "$s" ] && grep -qF {serial} "$s" 2>/dev/null; then
    b=${{s#/sys/block/}}; b=${{b%%/*}}
    case " $n " in *" $b "*) ;; *) n="$n $b" ;; esac
  fi
done
set -- $n
[ $# -eq 1 ] || exit {no_disk}
[ "$(cat "/sys/block/$1/size")" = {sectors} ] || exit {other_length}
d=/dev/$1
"""
_HASHED = r"""
for r in {runs}; do
  i=${{r%,*}}; e=$((i + ${{r#*,}}))
  while [ $i -lt $e ]; do dd if=$d bs={block} skip=$i count=1 2>/dev/null | sha256sum || exit 1; i=$((i + 1)); done
done
"""
_READ = "for r in {runs}; do dd if=$d bs={block} skip=${{r%,*}} count=${{r#*,}} 2>/dev/null || exit 1; done"
_WRITTEN = r"""
for r in {runs}; do
  dd of=$d bs={block} seek=${{r%,*}} count=${{r#*,}} iflag=fullblock conv=notrunc,fsync 2>/dev/null || exit 1
done
sync
{{ echo 3 >/proc/sys/vm/drop_caches; }} 2>/dev/null || :
"""
"""What was written is read again from the disk, where the guest lets us say so."""
_READY = 'command -v dd && command -v sha256sum && command -v grep && [ "$(id -u)" = 0 ]'


class Unhelped(Exception):
    """A guest does not do what is wanted of it: what, in words that tell nothing of anybody."""


def host_keys(console: str) -> tuple[str, ...]:
    """The host keys that a guest wrote to its console (cloud-init's block), `type base64` each; those of the last start."""
    told = _KEYS.findall(console)
    return tuple(dict.fromkeys(_KEY.findall(told[-1]))) if told else ()


@dataclass(frozen=True)
class Guest:
    """How a helper guest is entered. `known`: a file of ours with its host keys."""

    side: str
    address: str
    port: int
    user: str
    key: str
    known: Path

    @property
    def place(self) -> str:
        """The address, as nothing but one. Raises Unhelped."""
        try:
            return str(ip_address(self.address))
        except ValueError:
            raise Unhelped("its cloud tells no address of it") from None

    def trusting(self, keys: Iterable[str]) -> None:
        """Write them where the client looks. Raises Unhelped."""
        name = f"[{self.place}]:{self.port}" if self.port != 22 else self.place
        fresh = self.known.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        fresh.write_text("".join(f"{name} {key}\n" for key in keys))
        os.replace(fresh, self.known)

    def argv(self, script: str) -> list[str]:
        """The line of the client. Raises Unhelped."""
        program = shutil.which("ssh")
        if program is None:
            raise Unhelped("the program ssh is not on the path")
        options = [
            *CAREFUL, *_ALIVE, "StrictHostKeyChecking=yes", f"UserKnownHostsFile={_quoted(self.known)}", f"ConnectTimeout={CONNECT_SECONDS}",
        ]  # fmt: skip
        if self.key:
            options += [f"IdentityFile={_quoted(Path(self.key).expanduser())}", "IdentitiesOnly=yes"]
        told = [word for option in options for word in ("-o", option)]
        shell = "sh -c" if self.user == "root" else "sudo -n sh -c"
        return [
            program, *told, "-l", self.user, "-p", str(self.port), "--", self.place,
            f"{shell} {shlex.quote(script)}",
        ]  # fmt: skip

    def answers(self) -> str:
        """Why it cannot be used yet; `""`: it can."""
        with _running(self.argv(_READY)) as one:
            return _ended(one, CONNECT_SECONDS * 3)


def _quoted(path: Path) -> str:
    """As ssh reads a file's name from an option: whole, without its `%` tokens."""
    return '"' + str(path).replace("%", "%%") + '"'


@dataclass(frozen=True)
class Disk:
    """A volume on a helper guest: by its id, and how long it is (bytes)."""

    guest: Guest
    volume_id: str
    length: int

    def script(self, what: str, runs: Sequence[tuple[int, int]] = ()) -> str:
        """That on the device, which is looked for each time."""
        seen = _SEEN.format(
            serial=shlex.quote(self.volume_id[:20]),
            sectors=self.length // 512,
            no_disk=_NO_DISK,
            other_length=_OTHER_LENGTH,
        )  # virtio keeps 20 characters of a serial number
        return seen + what.format(runs=" ".join(f"{first},{count}" for first, count in runs), block=BLOCK)

    def seen(self, progress: Progress) -> None:
        """Wait until the guest sees it. Raises Unhelped, Interrupted."""
        end = time.monotonic() + DISK_SECONDS
        while True:
            with _running(self.guest.argv(self.script(":"))) as one:
                why = _ended(one, CONNECT_SECONDS * 3)
            if not why:
                return
            if time.monotonic() >= end:
                raise Unhelped(f"{self.guest.side}: {why}")
            progress(0, None)
            time.sleep(1)


def equalise(source: Disk, target: Disk, progress: Progress) -> JsonObject:
    """Make the target's disk equal to the source's: how many `blocks`, how many `changed`, and the `bytes` that passed.

    Raises Unhelped if it is not equal at the end, or nobody can tell; Interrupted by way of `progress`.
    """
    total, changed, at = math.ceil(source.length / BLOCK), 0, 0

    def beat(done: int, of: int | None) -> None:
        progress(at, source.length)

    for disk in (source, target):
        disk.seen(beat)
    for first in range(0, total, WINDOW):
        runs = [(first, min(WINDOW, total - first))]
        wanted, there = _hashes([(source, runs), (target, runs)], beat)
        differ = [n for n, (one, other) in enumerate(zip(wanted, there, strict=True), start=first) if one != other]
        if differ:
            together = _runs(differ)
            _carry(source, target, together, beat)
            (again,) = _hashes([(target, together)], beat)
            if again != [wanted[n - first] for n in differ]:
                raise Unhelped("blocks are not what they were made, as the guest at the target reads them")
        changed += len(differ)
        at = min(source.length, (first + runs[0][1]) * BLOCK)
    return {"blocks": total, "changed": changed, "bytes": changed * BLOCK}


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbours together: (first, how many)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        first, count = found[-1] if found else (-1, 0)
        if found and number == first + count:
            found[-1] = first, count + 1
        else:
            found.append((number, 1))
    return found


def _hashes(asked: Sequence[tuple[Disk, Sequence[tuple[int, int]]]], progress: Progress) -> list[list[bytes]]:
    """The hashes of these blocks of each disk, beside each other. Raises Unhelped."""
    with ExitStack() as stack:
        ours = [stack.enter_context(_running(disk.guest.argv(disk.script(_HASHED, runs)))) for disk, runs in asked]
        said = [bytearray() for _ in ours]
        _heard(ours, said, progress)
        for (disk, _), one in zip(asked, ours, strict=True):
            if why := _ended(one, CONNECT_SECONDS):
                raise Unhelped(f"{disk.guest.side}: {why}")
    found = []
    for (disk, runs), told in zip(asked, said, strict=True):
        hashes = [bytes(line[:64]) for line in told.split(b"\n") if line]
        if len(hashes) != sum(count for _, count in runs) or not all(
            _HASH.fullmatch(h) and h != _EMPTY for h in hashes
        ):
            raise Unhelped(f"{disk.guest.side}: the guest gave no hash of each block")
        found.append(hashes)
    return found


def _heard(ours: Sequence[subprocess.Popen[bytes]], said: Sequence[bytearray], progress: Progress) -> None:
    """Read what each says to its end. Raises Unhelped if all are silent for long, or say more than they were asked for."""
    with selectors.DefaultSelector() as ready:
        for one, told in zip(ours, said, strict=True):
            assert one.stdout is not None  # noqa: S101 - it is a pipe
            ready.register(one.stdout, selectors.EVENT_READ, told)
        last = time.monotonic()
        while ready.get_map():
            for key, _ in ready.select(0.5):
                data, last = os.read(key.fd, PIECE), time.monotonic()
                if not data:
                    ready.unregister(key.fileobj)
                key.data.extend(data)
                if len(key.data) > WINDOW * 128:
                    raise Unhelped("a guest says more than it was asked for")
            if time.monotonic() - last > SILENCE:
                raise Unhelped("a guest says nothing any more")
            progress(0, None)


def _carry(source: Disk, target: Disk, runs: Sequence[tuple[int, int]], progress: Progress) -> None:
    """Those blocks, from one dd to the other. Raises Unhelped, Interrupted."""
    wanted, passed = sum(count for _, count in runs) * BLOCK, 0
    with (
        _running(target.guest.argv(target.script(_WRITTEN, runs)), fed=True) as taking,
        _running(source.guest.argv(source.script(_READ, runs))) as giving,
    ):
        assert giving.stdout is not None and taking.stdin is not None  # noqa: S101 - both are pipes
        pump = _Pump(giving.stdout, taking.stdin)
        pump.start()
        last = time.monotonic()
        while pump.is_alive():
            pump.join(0.5)
            if pump.passed != passed:
                passed, last = pump.passed, time.monotonic()
            if time.monotonic() - last > SILENCE:
                raise Unhelped("blocks stand still on their way")
            progress(0, None)
        for disk, one in ((source, giving), (target, taking)):
            if why := _ended(one, SILENCE):
                raise Unhelped(f"{disk.guest.side}: {why}")
    if pump.passed != wanted:
        raise Unhelped("source: other bytes came than the blocks that were asked for")


class _Pump(threading.Thread):
    """All that comes out of one process goes into another; it ends with either. It has ends of the pipes of its own."""

    def __init__(self, giving: IO[bytes], taking: IO[bytes]) -> None:
        super().__init__(name="blocks", daemon=True)
        self.passed = 0
        self._out, self._into = os.dup(giving.fileno()), os.dup(taking.fileno())
        taking.close()

    def run(self) -> None:
        """See the class. What breaks shows in how they end, and in what passed."""
        try:
            with suppress(OSError):
                while data := os.read(self._out, PIECE):
                    rest = memoryview(data)
                    while rest:
                        rest = rest[os.write(self._into, rest) :]
                    self.passed += len(data)
        finally:
            os.close(self._out)
            os.close(self._into)


@contextmanager
def _running(argv: list[str], *, fed: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """The client in a session of its own, so that it asks at no terminal; at the end of the block none of it is left. Raises Unhelped."""
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE if fed else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"}, start_new_session=True, bufsize=0,
        )  # fmt: skip
    except OSError:
        raise Unhelped("the program ssh could not be started") from None
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Why what ran there did not end well; `""` if it did."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return "a guest says nothing any more"
    return _SAID.get(code, f"a command in the guest ended with {code}") if code else ""
