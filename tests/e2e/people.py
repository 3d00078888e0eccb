# SPDX-License-Identifier: Apache-2.0
"""Other people of a real cloud, made by its administrator for a test and removed after it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import inventory
import openstack

from unterbau import reference


@contextmanager
def somebody(cloud: str, project: str | None = None, role: str = "member") -> Iterator[Any]:
    """The connection of a new user with that role: in the project of that id, or in a new one of his own."""
    file = reference.clouds_file(cloud)
    with inventory.connect(f"{cloud}-admin", file) as admin:
        name, password = f"somebody-{secrets.token_hex(4)}", secrets.token_hex(16)
        own = None if project else admin.identity.create_project(name=name, domain_id="default")
        user = admin.identity.create_user(name=name, password=password, domain_id="default")
        try:
            where = own.id if own else project
            admin.identity.assign_project_role_to_user(where, user, admin.identity.find_role(role))
            with openstack.connection.Connection(
                auth_url=admin.config.config["auth"]["auth_url"], username=name, password=password, project_id=where,
                user_domain_id="default", cacert=str(file.parent / "tls" / "ca.pem"),
                region_name=admin.config.get_region_name(),
            ) as connection:  # fmt: skip
                yield connection
        finally:
            admin.identity.delete_user(user)
            if own:
                admin.identity.delete_project(own)
