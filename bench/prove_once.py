# SPDX-License-Identifier: Apache-2.0
"""One run that `bench.prove` measures, as a process of its own: `python -m bench.prove_once WHAT CLOUD PORTS`.

It loads little beside what is measured. PORTS: JSON, the place of each endpoint and the forwarder's port that leads there.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partialmethod
from typing import Any

WRITING = (
    *[("key_manager", "/secrets?limit=1")] * 5,
    *[("block_storage", "/volumes?limit=1")] * 25,
    *[("compute", "/servers?limit=1")] * 15,
    *[("network", "/networks?limit=1")] * 10,
)
"""Instead of its 55 for secrets (5), backup (25) and the server with its network (25)."""


def lead(ports: Mapping[tuple[str, int], int]) -> None:
    """Every connection of this process to these places goes through their forwarder, for the rest of its life."""

    def led(self: socket.socket, address: Any, *, connect: Callable[..., Any]) -> Any:
        port = ports.get(tuple(address[:2]))
        return connect(self, ("127.0.0.1", port) if port is not None else address)

    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, partialmethod(led, connect=getattr(socket.socket, name)))


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
    """The requests of the reference suite, one after the other; their number."""
    import warnings
    from urllib.parse import urlsplit

    import boto3
    import openstack
    import requests

    count, send = 0, requests.Session.send

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        return send(*arguments, **options)

    requests.Session.send = counted  # type: ignore[method-assign]
    warnings.simplefilter("ignore")
    cloud = openstack.connect(cloud=name, timeout=32)
    assert cloud.list_flavors(get_extra=True) and cloud.list_images(show_all=True) and cloud.list_volume_types()
    assert list(cloud.network.default_security_group_rules())
    store = urlsplit(cloud.object_store.get_endpoint())
    s3 = boto3.resource(
        "s3", endpoint_url=f"{store.scheme}://{store.netloc}", verify=cloud.config.config["cacert"],
        aws_access_key_id="nobody", aws_secret_access_key="-",  # noqa: S106 - of nobody
    )  # fmt: skip
    with contextlib.suppress(s3.meta.client.exceptions.ClientError):  # its refusal is the answer
        list(s3.buckets.all())
    for service, path in WRITING if writing else ():
        adapter: Any = getattr(cloud, service)
        assert adapter.get(path).status_code < 500, (service, path)  # a reader may not ask for secrets
    return count + 1


def one(what: str, name: str, led: str) -> None:
    """One run, in this process: its number of requests is printed."""
    lead({(host, port): to for host, port, to in json.loads(led)})
    match what:
        case "plain":
            ours(name, "--no-tls")
        case "default":
            ours(name)
        case _:
            print(reference(name, writing=what == "all"))


if __name__ == "__main__":
    one(*sys.argv[1:])
