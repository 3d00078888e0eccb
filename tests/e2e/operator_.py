# SPDX-License-Identifier: Apache-2.0
"""An operator's hands on a real cloud: makes its offering what the sections of an inventory say, and puts it back.

`test_prove` breaks one rule after the other with it. It speaks through openstacksdk with the administrator's
identity, not through anything of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Item = dict[str, Any]
_IMAGE_FIELDS = {"name", "visibility", "min_disk", "min_ram", "os_hidden", "tags"}
_SERVERS = {"id", "status", "created_at", "size", "owner", "os_hash_algo"}
RULE_FIELDS = (
    "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id",
    "used_in_default_sg", "used_in_non_default_sg",
)  # fmt: skip


class Operator:
    """The administrator of one cloud. `put` and `drop` by section; `restore` undoes all of it."""

    def __init__(self, admin: Any) -> None:
        self.admin = admin
        self.undo: list[Callable[[], object]] = []
        self.today = datetime.now(UTC).date().isoformat()

    def restore(self) -> None:
        """Take back everything, last first."""
        while self.undo:
            self.undo.pop()()

    # --- objects of the sections

    def put(self, section: str, item: Item) -> Callable[[], object]:
        """Make it; returns how to take it back."""
        made: Callable[[], object] = getattr(self, f"_put_{section}")(item)
        return made

    def drop(self, section: str, item: Item) -> Callable[[], object]:
        """Remove the one of this name; returns how to bring it back."""
        gone: Callable[[], object] = getattr(self, f"_drop_{section}")(item)
        return gone

    def _put_flavors(self, item: Item) -> Callable[[], object]:
        made = self.admin.compute.create_flavor(
            name=item["name"], vcpus=item["vcpus"], ram=item["ram"], disk=item["disk"]
        )
        if item["extra_specs"]:
            self.admin.compute.create_flavor_extra_specs(made, item["extra_specs"])
        return lambda: self.admin.compute.delete_flavor(made.id)

    def _drop_flavors(self, item: Item) -> Callable[[], object]:
        there = self.admin.compute.find_flavor(item["name"], ignore_missing=False, get_extra_specs=True)
        self.admin.compute.delete_flavor(there.id)
        kept = {
            "name": there.name, "vcpus": there.vcpus, "ram": there.ram, "disk": there.disk,
            "extra_specs": dict(there.extra_specs),
        }  # fmt: skip
        return lambda: self._put_flavors(kept)

    def _put_images(self, item: Item) -> Callable[[], object]:
        more = {k: v for k, v in item.items() if k not in _IMAGE_FIELDS | _SERVERS}
        if more.get("image_build_date") == "2026-11-19":  # the good cloud's images are of today
            more["image_build_date"] = self.today
        body = {k: item[k] for k in ("name", "visibility", "min_disk", "min_ram", "os_hidden")}
        answer = self.admin.image.post(
            "/images", json={**body, "disk_format": "raw", "container_format": "bare", **more}
        )
        assert answer.status_code == 201, answer.text
        id_ = answer.json()["id"]
        kind = {"Content-Type": "application/octet-stream"}
        answer = self.admin.image.put(f"/images/{id_}/file", data=b"\0" * 1024, headers=kind)
        assert answer.status_code == 204, answer.text
        return lambda: self.admin.image.delete_image(id_)

    def _drop_images(self, item: Item) -> Callable[[], object]:
        for there in list(self.admin.image.images(name=item["name"])):
            self.admin.image.delete_image(there.id)
        return lambda: self._put_images(item)

    def _put_volume_types(self, item: Item) -> Callable[[], object]:
        made = self.admin.block_storage.create_type(name=item["name"], description=item["description"])
        return lambda: self.admin.block_storage.delete_type(made.id)

    def _drop_volume_types(self, item: Item) -> Callable[[], object]:
        there = self.admin.block_storage.find_type(item["name"], ignore_missing=False)
        kept = {"name": there.name, "description": there.description}
        self.admin.block_storage.delete_type(there.id)
        return lambda: self._put_volume_types(kept)

    def _put_default_security_group_rules(self, item: Item) -> Callable[[], object]:
        body = {k: item[k] for k in RULE_FIELDS if item[k] is not None}
        url = "/default-security-group-rules"
        made = self.admin.network.post(url, json={"default_security_group_rule": body})
        assert made.status_code == 201, made.text
        id_ = made.json()["default_security_group_rule"]["id"]
        return lambda: self.admin.network.delete(f"{url}/{id_}")

    def _drop_default_security_group_rules(self, item: Item) -> Callable[[], object]:
        url = "/default-security-group-rules"
        rules = self.admin.network.get(url).json()["default_security_group_rules"]
        there = next(r for r in rules if all(r[k] == item[k] for k in RULE_FIELDS))
        self.admin.network.delete(f"{url}/{there['id']}")
        return lambda: self._put_default_security_group_rules(item)

    def _put_catalog(self, item: Item) -> Callable[[], object]:
        there = next((s for s in self.admin.identity.services() if s.type == item["type"]), None)
        if there is not None:
            self.admin.identity.update_service(there, is_enabled=True)
            return lambda: self._drop_catalog(item)
        made = self.admin.identity.create_service(type=item["type"], name=item["type"])
        self.admin.identity.create_endpoint(
            service_id=made.id, interface="public", url="https://127.0.0.1:1/", region_id=self._region()
        )
        return lambda: self.admin.identity.delete_service(made.id)

    def _drop_catalog(self, item: Item) -> Callable[[], object]:
        there = next(s for s in self.admin.identity.services() if s.type == item["type"])
        self.admin.identity.update_service(there, is_enabled=False)
        return lambda: self.admin.identity.update_service(there, is_enabled=True)

    def rename_service(self, old: str, new: str) -> Callable[[], object]:
        """Change a service's type."""
        there = next(s for s in self.admin.identity.services() if s.type == old)
        self.admin.identity.update_service(there, type=new)
        return lambda: self.admin.identity.update_service(there, type=old)

    def _region(self) -> str:
        return str(next(iter(self.admin.identity.regions())).id)
