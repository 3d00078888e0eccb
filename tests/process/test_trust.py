# SPDX-License-Identifier: Apache-2.0
"""Whose certificates a connection takes: what was read of a bundle of authorities is shared, and nothing else is by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trustme
import urllib3
from speakers import page

from unterbau.cloud.openstack import wire
from unterbau.cloud.openstack.limits import Limits


class World:
    """A server with a certificate of `ours`, and a file that says who is trusted."""

    def __init__(self, port: int, ours: trustme.CA, file: Path) -> None:
        self.port, self.ours, self.file = port, ours, file

    def trust(self, *authorities: trustme.CA) -> None:
        """From now on these."""
        self.file.write_bytes(b"".join(a.cert_pem.bytes() for a in authorities))

    def asked(self, host: str = "localhost", **options: Any) -> int:
        """The status of an answer over a connection of its own."""
        pool = wire.SecurePool(
            host, self.port, limits=Limits(), retries=False,
            **{"cert_reqs": "CERT_REQUIRED", "ca_certs": str(self.file), **options},
        )  # fmt: skip
        try:
            return pool.urlopen("GET", "/").status
        finally:
            pool.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    ours = trustme.CA()
    with page(lambda path, headers: (200, {}, b""), ours.issue_cert("localhost")) as port:
        made = World(port, ours, tmp_path / "authorities.pem")
        made.trust(ours)
        yield made


def test_a_bundle_of_authorities_is_read_once_for_many_connections(world: World) -> None:
    name = f"{wire.__name__}.create_urllib3_context"
    with patch(name, wraps=urllib3.util.ssl_.create_urllib3_context) as made:
        assert [world.asked() for _ in range(3)] == [200] * 3
    assert made.call_count == 1


def test_a_bundle_that_was_renewed_is_read_again(world: World) -> None:
    world.trust(trustme.CA())
    with pytest.raises(urllib3.exceptions.SSLError, match="certificate verify failed"):
        world.asked()
    world.trust(trustme.CA(), world.ours)
    assert world.asked() == 200
    world.trust(trustme.CA())
    with pytest.raises(urllib3.exceptions.SSLError):
        world.asked()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_another_name_is_refused_also_after_somebody_asked_for_no_proof(world: World) -> None:
    unproven = {"cert_reqs": "CERT_NONE", "ca_certs": None, "assert_hostname": False}
    assert world.asked("127.0.0.1", **unproven) == 200
    assert world.asked() == 200
    with pytest.raises(urllib3.exceptions.SSLError, match=r"127\.0\.0\.1"):
        world.asked("127.0.0.1")
    assert world.asked("127.0.0.1", **unproven) == 200


def test_a_certificate_of_ours_is_shown_to_nobody_else(world: World, tmp_path: Path) -> None:
    mine = trustme.CA().issue_cert("me")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "me.pem"))
    with patch.object(wire, "_trusting", wraps=wire._trusting) as shared:
        assert world.asked(cert_file=str(tmp_path / "me.pem")) == 200
        assert not shared.called
        assert world.asked() == 200
        assert shared.called


def test_a_bundle_that_is_not_there_is_an_error_of_its_own_connection(world: World) -> None:
    world.file.unlink()
    with pytest.raises((OSError, urllib3.exceptions.HTTPError)):
        world.asked()
