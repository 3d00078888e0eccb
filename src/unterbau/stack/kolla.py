# SPDX-License-Identifier: Apache-2.0
"""The configuration of kolla-ansible: globals.yml, globals.d, OSISM's environments/kolla/configuration.yml, Kayobe's kolla.yml.

Read are the release, what is switched on, the base of the containers, the engine, the virtualisation, and Ceph as a
backend. What kolla-ansible switches on by itself is not written there, and that is told: it differs by release. Other
values are not looked at; passwords.yml is no input.
"""

from __future__ import annotations

import re
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import ansible
from unterbau.stack.found import Found, spot
from unterbau.stack.source import BRACES, Source, mapping, text

_SIGNS = frozenset(
    ["kolla_base_distro", "kolla_internal_vip_address", "kolla_internal_fqdn", "kolla_external_vip_address",
     "kolla_container_engine", "openstack_release", "enable_openstack_core"]
)  # fmt: skip
_YES = frozenset(["yes", "true", "on"])
_ENABLED = re.compile(r"^(?:kolla_)?enable_([a-z][a-z0-9_]*)$")
_TAGS = "kolla_image_tags"
_CEPH = re.compile(r"^(?:[a-z]+_backend_ceph|enable_ceph_rgw)$")
_CHOICES = {
    "kolla_container_engine": None,
    "nova_compute_virt_type": Layer.IAAS,
    "neutron_plugin_agent": Layer.IAAS,
    "kolla_base_distro": Layer.OPERATING_SYSTEM,
}
DEFAULTS = "what kolla-ansible switches on by itself is not written here: judge the cloud too (`cloud:NAME`)"


def matches(source: Source) -> bool:
    """Whether it is one, by its keys; defaults of kolla-ansible's own source are variables of Ansible."""
    if not source.is_yaml or {"group_vars", "defaults", "vars"} & set(source.path.parts[:-1]):
        return False
    found = source.document
    called = source.path.name == "globals.yml" and source.path.parent.name == "kolla"
    if not isinstance(found, dict) or "apiVersion" in found:
        return False
    of_kayobe = isinstance(found.get(_TAGS), dict) or any(k.startswith("kolla_enable_") for k in found)
    return called or of_kayobe or bool(_SIGNS & found.keys())


def read(source: Source, found: Found) -> None:
    """What is switched on, and the release, at their lines."""
    told = mapping(source.document)
    for key, value in told.items():
        where, word = spot(told, key), text(value)
        named, on = _ENABLED.match(key), word.lower() in _YES
        if BRACES.search(word) and (named or key in _CHOICES or key == "openstack_release"):
            found.unread(where, f"a template fills this in: {key}")
        elif key == "openstack_release" and word:
            found.hinted("name", "openstack", where, word)
        elif key in _CHOICES and word:
            _choice(key, word, told, where, found)
        elif _CEPH.match(key) and on:
            found.hinted("name", "ceph", where)
        elif named and on:
            found.hinted("name", named.group(1).replace("_", "-"), where)
    tags = mapping(told.get(_TAGS))
    for name, by_system in tags.items():
        for system, tag in mapping(by_system).items():
            hints = (("name", name.replace("_", "-")),)
            found.part(
                name, spot(by_system, system, f"/{_TAGS}", f"on {system}"), version=text(tag) or None, hints=hints
            )
    if tags and len(told) == 1:
        return
    ansible.variables({k: v for k, v in told.items() if k not in _CHOICES}, "", found)
    found.unread("", DEFAULTS)


def _choice(key: str, word: str, told: Any, where: str, found: Found) -> None:
    if key == "kolla_base_distro":
        version = text(told.get("kolla_base_distro_version")) or None
        spots = f"{where} (base of the containers)"
        found.part(word, spots, version=version, hints=(("name", word),), layer=Layer.OPERATING_SYSTEM)
    else:
        found.part(word, where, hints=(("name", word),), layer=_CHOICES[key])
