# SPDX-License-Identifier: Apache-2.0
"""The embedded cloud's Cinder keeps real bytes: backup, restore, and a snapshot of a volume."""

from __future__ import annotations

import hashlib

import inventory
import pytest

from unterbau import reference

pytestmark = [pytest.mark.cloud, pytest.mark.filterwarnings("ignore")]


def test_a_restored_backup_has_the_bytes_of_the_volume(two_clouds: tuple[str, str]) -> None:
    name = two_clouds[1]
    cloud = inventory.connect(name, reference.clouds_file(name))
    storage = cloud.block_storage
    image = cloud.create_image(
        "backup-test", data=b"hello" * 10**6, disk_format="raw", container_format="bare", wait=True
    )
    volume = storage.create_volume(size=1, image_id=image.id, name="backup-test")
    storage.wait_for_status(volume, "available", interval=0.3, wait=60)
    backup = storage.create_backup(volume_id=volume.id, name="backup-test")
    storage.wait_for_status(backup, "available", failures=["error"], interval=0.5, wait=90)
    restored_id = storage.restore_backup(backup, name="restored").volume_id
    storage.wait_for_status(
        storage.get_volume(restored_id), "available", failures=["error_restoring"], interval=0.5, wait=90
    )
    files = reference.clouds_file(name).parent / "var" / "volumes"
    digests = {hashlib.sha256((files / f"volume-{i}").read_bytes()).hexdigest() for i in (volume.id, restored_id)}
    assert len(digests) == 1
    inventory.sweep(cloud)
