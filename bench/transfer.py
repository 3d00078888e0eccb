# SPDX-License-Identifier: Apache-2.0
"""Bytes from cloud to cloud against the limit of the wire: `python -m bench.transfer`.

In one run, on one embedded cloud: curl reads an image to nowhere (the limit of reading), our reader does the same
with SHA-256 in passing, then our relay carries it into another image. Writes its section of bench/README.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- transfer: begin -->", "<!-- transfer: end -->"
SIZE = 512 << 20
WAIT = timedelta(minutes=10)


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure() -> list[tuple[str, float]]:
    """What, and MB/s."""
    import hashlib

    from unterbau import reference, wiring
    from unterbau.switch.move.transfer import relay
    from unterbau.tenant.kinds import Image, Kind, ref

    reference.up("bench", progress=print)
    cloud = wiring.open_cloud("bench")
    block = os.urandom(1 << 20)

    def image(name: str) -> Image:
        wish = Image(
            id="-", name=name, status="queued", disk_format="raw", container_format="bare", visibility="private"
        )
        return wish.model_copy(update={"id": cloud.ensure(wish, f"unterbau.bench.{name}")})

    first, second = image("first"), image("second")
    upload = seconds(lambda: cloud.write_image(first, (block for _ in range(SIZE >> 20)), SIZE))
    cloud.settle(ref(Kind.IMAGE, first.id), WAIT)
    root = reference.clouds_file("bench").parent
    from unterbau.cloud.openstack.session import find_session

    session = find_session("bench", [reference.clouds_file("bench")])
    url = f"{session.api('image').endpoint().rstrip('/')}/v2/images/{first.id}/file"
    argv = ["curl", "-s", "-o", "/dev/null", "--cacert", str(root / "tls" / "ca.pem"), "-H", "@-", url]
    header = f"X-Auth-Token: {session.token()}"
    limit = seconds(lambda: subprocess.run(argv, input=header, text=True, check=True))

    def read() -> None:
        digest = hashlib.sha256()
        with cloud.image_bytes(first.id) as stream:
            for chunk in stream:
                digest.update(chunk)

    reading = seconds(read)
    carried = seconds(
        lambda: relay(
            cloud.image_bytes(first.id), lambda d, n: cloud.write_image(second, d, n), lambda done, total: None
        )
    )
    rows = [
        ("write an image (the limit of writing)", upload),
        ("curl reads it to nowhere (the limit of reading)", limit),
    ]
    rows += [("our reader, with SHA-256", reading), ("our relay: read, SHA-256, write", carried)]
    return [(what, SIZE / 1e6 / taken) for what, taken in rows]


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        os.environ["XDG_DATA_HOME"] = home
        from unterbau import reference

        try:
            rows = measure()
        finally:
            reference.wipe("bench")
    upload, limit, reading, carried = (rate for _, rate in rows)
    slowest = min(upload, limit)
    ratios = ["", "1", f"{reading / limit:.2f} of curl", f"{carried / slowest:.2f} of the slower limit"]
    lines = [f"| {what} | {rate:.0f} MB/s | {ratio} |" for (what, rate), ratio in zip(rows, ratios, strict=True)]
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.transfer`, 512 MiB, one run, client and cloud on the same machine."
    text = "\n".join([BEGIN, "## transfer", "", head, "", "| what | rate | ratio |", "|---|---|---|", *lines, END])
    old = README.read_text(encoding="utf-8") if README.exists() else "# Measurements\n"
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    new = re.sub(pattern, lambda _: text, old, flags=re.DOTALL) if BEGIN in old else f"{old.rstrip()}\n\n{text}\n"
    README.write_text(new, encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
