# SPDX-License-Identifier: Apache-2.0
"""The data of an image whose connection is cut, over real TLS: gone on with where the store gives parts, else one error."""

from __future__ import annotations

import random
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from lying_cloud import PROJECT, Asked, Scene, Told, standing

from unterbau.cloud.openstack import connect
from unterbau.cloud.openstack.adapter import OpenStack
from unterbau.cloud.waiting import heeding
from unterbau.errors import CloudError

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

ID = "5ec2e700-0000-4000-8000-000000000001"
LENGTH = 5 << 20
DATA = random.Random(13).randbytes(LENGTH)
ENTRY = {"id": ID, "name": "i", "status": "active", "visibility": "private", "owner": PROJECT, "size": LENGTH}


class Store:
    """Glance's answers for one image; each download is cut after `every` bytes, and parts are given if `parts`."""

    def __init__(self, every: int, *, parts: bool = True, shifted: int = 0, size: Any = LENGTH) -> None:
        self.every, self.parts, self.shifted, self.size = every, parts, shifted, size
        self.ranges: list[str] = []

    def __call__(self, asked: Asked) -> Told | None:
        if asked.path == f"/image/v2/images/{ID}":
            return Told(200, {**ENTRY, "size": self.size})
        if asked.path != f"/image/v2/images/{ID}/file":
            return None
        wanted = asked.headers.get("range", "")
        self.ranges.append(wanted)
        start = int(found[1]) if (found := re.match(r"bytes=(\d+)-", wanted)) and self.parts else 0
        start += self.shifted if start else 0
        headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        return Told(206 if start else 200, DATA[start:], headers, way=self.cut)

    def cut(self, client: socket.socket, data: bytes) -> None:
        head = data.index(b"\r\n\r\n") + 4
        client.sendall(data[: head + self.every])
        if len(data) > head + self.every:
            raise ConnectionResetError


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing(tmp_path_factory.mktemp("scene")) as made:
        made.write()
        yield made


@pytest.fixture
def cloud(scene: Scene) -> OpenStack:
    return connect("ziel", config_files=[scene.file])


def read(cloud: OpenStack) -> bytes:
    with cloud.image_bytes(ID) as stream:
        assert stream.size_bytes == len(DATA)
        return b"".join(stream)


def test_what_broke_off_is_gone_on_with_and_said(scene: Scene, cloud: OpenStack) -> None:
    """Nothing that was read passes again."""
    scene.cloud.lie = store = Store(2 << 20)
    said: list[str] = []
    with heeding(threading.Event(), said.append):
        assert read(cloud) == DATA
    assert store.ranges == ["", f"bytes={2 << 20}-", f"bytes={4 << 20}-"]
    assert len(said) == 2 and "broke off after 2097152 of 5242880 bytes" in said[0]


@pytest.mark.parametrize(
    "store", [Store(2 << 20, parts=False), Store(2 << 20, shifted=1)], ids=["no parts", "another part"]
)
def test_without_the_part_that_was_asked_for_it_is_one_error(scene: Scene, cloud: OpenStack, store: Store) -> None:
    """The whole from its beginning, or another part of it, is never taken for the rest."""
    scene.cloud.lie = store
    with pytest.raises(CloudError, match="image: GET") as caught:
        read(cloud)
    assert caught.value.transient and len(store.ranges) == 2


@pytest.mark.parametrize("size", [None, "many", [1], -1, 1.5])
def test_where_the_size_is_none_the_answer_tells_it(scene: Scene, cloud: OpenStack, size: Any) -> None:
    scene.cloud.lie = Store(2 << 20, size=size)
    assert read(cloud) == DATA


def test_a_store_that_gives_nothing_more_is_not_asked_for_ever(scene: Scene, cloud: OpenStack) -> None:
    class Ending(Store):
        def cut(self, client: socket.socket, data: bytes) -> None:
            self.every = 2 << 20 if len(self.ranges) == 1 else 0
            super().cut(client, data)

    scene.cloud.lie = store = Ending(2 << 20)
    stop = threading.Event()
    with heeding(stop, lambda line: None), pytest.raises(CloudError):
        read(cloud)
    assert 2 <= len(store.ranges) <= 8
