# SPDX-License-Identifier: Apache-2.0
"""The configuration files of every service, rendered from a cloud's layout and passwords. Pure.

`template.write_config` writes them. A file is a mapping of sections to options; what an option is for is said
beside it where upstream's default would not do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from unterbau.reference import extras, guests, packets
from unterbau.reference.layout import ADDRESS, REGION, Layout, Secrets
from unterbau.reference.services import database

Section: TypeAlias = Mapping[str, object]
File: TypeAlias = Mapping[str, Section]


def render(layout: Layout, secrets: Secrets, *, force_upload: bool = False, kvm: bool = False) -> dict[str, str]:
    """Text of each file by its path relative to `layout.etc`.

    `force_upload` is Cinder's enable_force_upload: whether a tenant may upload an attached volume. `kvm`: how guests
    run, where the cloud has them.
    """
    files: dict[str, File] = {
        "keystone/keystone.conf": _keystone(layout),
        "glance/glance-api.conf": _glance(layout, secrets),
        "placement/placement.conf": _placement(layout, secrets),
        "nova/nova.conf": _nova(layout, secrets),
        "neutron/neutron.conf": _neutron(layout, secrets),
        "neutron/plugins/ml2/ml2_conf.ini": _ml2(),
        "cinder/cinder.conf": _cinder(layout, secrets, force_upload),
        "home/.barbican/barbican.conf": _barbican(layout, secrets),
        "swift/swift.conf": _swift(layout, secrets),
        "swift/proxy-server.conf": _swift_proxy(layout, secrets),
    }
    files |= {f"swift/{name}-server.conf": _swift_server(layout, name) for name in _SWIFT_SERVERS}
    plain: dict[str, str] = {}
    if extras.OVN in layout.extras:
        files["neutron/plugins/ml2/ml2_conf.ini"] = _over(_ml2(), packets.ml2(layout))
        files["neutron/neutron.conf"] = _over(files["neutron/neutron.conf"], {"DEFAULT": packets.neutron()})
        plain["metadata.json"] = json.dumps(packets.metadata(layout, secrets), indent=1)
        plain["ground.json"] = json.dumps(packets.ground(layout) | {"files": guests.inner_files()}, indent=1)
    if extras.GUESTS in layout.extras:
        files["nova/nova.conf"] = _over(files["nova/nova.conf"], guests.nova(layout, kvm=kvm))
        plain |= guests.files(layout)
    return {path: _text(file) for path, file in files.items()} | plain


def _over(file: File, more: File) -> File:
    """The file with these options in place of its own."""
    return {**file, **{section: {**file.get(section, {}), **options} for section, options in more.items()}}


def _text(file: File) -> str:
    """INI; a per cent sign is doubled nowhere: oslo.config and paste take it as it is in these values."""
    parts = []
    for section, options in file.items():
        lines = [f"{key} = {_value(value)}" for key, value in options.items()]
        parts.append("\n".join([f"[{section}]", *lines, ""]))
    return "\n".join(parts)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- parts that several services share


def _account(layout: Layout, secrets: Secrets, user: str) -> dict[str, object]:
    """A service user's way to Keystone."""
    return {
        "auth_url": layout.auth_url,
        "auth_type": "password",
        "username": user,
        "password": secrets.service,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": REGION,
        "cafile": layout.ca,
    }


def _token(layout: Layout, secrets: Secrets, user: str) -> dict[str, object]:
    """[keystone_authtoken]: service tokens count, so that long copies outlive the user's token."""
    return _account(layout, secrets, user) | {
        "www_authenticate_uri": layout.auth_url,
        "service_token_roles": "service",
        "service_token_roles_required": True,
        "memcache_security_strategy": "None",
    }


def _service_user(layout: Layout, secrets: Secrets, user: str) -> dict[str, object]:
    return _account(layout, secrets, user) | {"send_service_user_token": True}


def _log(layout: Layout, service: str) -> dict[str, object]:
    """The supervisor appends the process' output to the same file: everything is in one place."""
    return {"use_stderr": True, "default_log_levels": _LEVELS}


_LEVELS = "amqp=WARN,sqlalchemy=WARN,oslo.messaging=WARN,urllib3=WARN,keystonemiddleware=WARN,stevedore=WARN"
_QUIET = {"driver": "noop"}


# --- services


def _keystone(layout: Layout) -> File:
    return {
        "DEFAULT": _log(layout, "keystone"),
        "database": {"connection": database(layout, "keystone")},
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": layout.fernet_keys},
        "fernet_receipts": {"key_repository": layout.fernet_keys},
        "credential": {"key_repository": layout.credential_keys},
        # Without ec2credential no S3 request could be authenticated.
        "auth": {"methods": "external,password,token,mapped,application_credential,ec2credential"},
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        # The passwords are random and long: the cost of guessing them needs no help from the hash.
        "identity": {"password_hash_algorithm": "pbkdf2_sha512", "password_hash_rounds": 1000},
        "oslo_messaging_notifications": _QUIET,
    }


def _glance(layout: Layout, secrets: Secrets) -> File:
    return {
        "DEFAULT": _log(layout, "glance")
        | {
            "enabled_backends": "file:file",
            "enabled_import_methods": "[glance-direct,web-download,copy-image]",
            "worker_self_reference_url": layout.url("glance"),
        },
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": layout.runtime / "etc/glance/glance-api-paste.ini",
        },
        "glance_store": {"default_backend": "file"},
        "file": {
            "filesystem_store_datadir": layout.var / "images",
            "filesystem_store_chunk_size": 2**20,
            # Zeros become holes: an image of a volume takes the room of its data only.
            "filesystem_thin_provisioning": True,
        },
        "os_glance_staging_store": {"filesystem_store_datadir": layout.var / "glance-staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": layout.var / "glance-tasks"},
        "database": {"connection": database(layout, "glance")},
        "keystone_authtoken": _token(layout, secrets, "glance"),
        "oslo_messaging_notifications": _QUIET,
    }


def _placement(layout: Layout, secrets: Secrets) -> File:
    return {
        "DEFAULT": _log(layout, "placement"),
        "api": {"auth_strategy": "keystone"},
        "placement_database": {"connection": database(layout, "placement")},
        "keystone_authtoken": _token(layout, secrets, "placement"),
    }


def _nova(layout: Layout, secrets: Secrets) -> File:
    nova = _account(layout, secrets, "nova")
    return {
        "DEFAULT": _log(layout, "nova")
        | {
            "host": f"{layout.name}-host-1",
            "my_ip": ADDRESS,
            "state_path": layout.var / "nova",
            "instances_path": layout.var / "instances",
            "transport_url": "fake://",
            "compute_driver": "kept_guests.KeptFakeDriver",
            "vif_plugging_is_fatal": False,
            "vif_plugging_timeout": 0,
            "rootwrap_config": layout.runtime / "etc/nova/rootwrap.conf",
            "default_schedule_zone": "nova",
            # The guests are brought back by the driver in the state that the database has.
            "resume_guests_state_on_host_boot": False,
            "sync_power_state_interval": -1,
            "heal_instance_info_cache_interval": -1,
            "instance_usage_audit": False,
        },
        "database": {"connection": database(layout, "nova")},
        "api_database": {"connection": database(layout, "nova_api")},
        "api": {"auth_strategy": "keystone"},
        "wsgi": {"api_paste_config": layout.runtime / "etc/nova/api-paste.ini"},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": -1},
        "glance": {"endpoint_override": layout.url("glance"), "cafile": layout.ca},
        "cinder": nova | {"os_region_name": REGION, "catalog_info": "block-storage::publicURL"},
        "neutron": nova | {"service_metadata_proxy": True, "metadata_proxy_shared_secret": secrets.metadata_shared},
        "placement": nova,
        "service_user": _service_user(layout, secrets, "nova"),
        "key_manager": {"backend": "barbican"},
        "barbican": {"auth_endpoint": layout.auth_url, "send_service_user_token": True},
        "vnc": {"enabled": False},
        "quota": {"instances": 200, "cores": 800, "ram": 1600000, "server_groups": 50, "key_pairs": 100},
        "keystone_authtoken": _token(layout, secrets, "nova"),
        "oslo_concurrency": {"lock_path": layout.var / "lock-nova"},
        "oslo_messaging_notifications": _QUIET,
    }  # fmt: skip


def _neutron(layout: Layout, secrets: Secrets) -> File:
    quotas = {"network": 100, "subnet": 200, "port": 1000, "router": 50, "floatingip": 100}
    quotas |= {"security_group": 200, "security_group_rule": 2000, "rbac_policy": 50}
    return {
        "DEFAULT": _log(layout, "neutron")
        | {
            "state_path": layout.var / "neutron",
            "host": f"{layout.name}-host-1",
            "core_plugin": "ml2",
            "service_plugins": "router,segments,metering,qos,tag,port_forwarding,trunk",
            "auth_strategy": "keystone",
            "api_paste_config": layout.runtime / "etc/neutron/api-paste.ini",
            "transport_url": "fake://",
            "rpc_workers": 0,
            "rpc_state_report_workers": 0,
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
            "dhcp_agent_notification": False,
            "global_physnet_mtu": 1500,
            "dns_domain": "unterbau.invalid.",
        },
        "database": {"connection": database(layout, "neutron")},
        "nova": _account(layout, secrets, "nova"),
        "placement": _account(layout, secrets, "placement"),
        "keystone_authtoken": _token(layout, secrets, "neutron"),
        "oslo_concurrency": {"lock_path": layout.var / "lock-neutron"},
        "oslo_messaging_notifications": _QUIET,
        "quotas": {f"quota_{name}": limit for name, limit in quotas.items()},
    }


def _ml2() -> File:
    return {
        "ml2": {
            "type_drivers": "local,flat,vlan,vxlan",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "instantbind",
            "extension_drivers": "port_security,qos,dns,tag_ports_during_bulk_creation",
            "overlay_ip_version": 4,
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:999"},
        "ml2_type_vxlan": {"vni_ranges": "1:10000"},
        "securitygroup": {"enable_security_group": True},
    }


def _cinder(layout: Layout, secrets: Secrets, force_upload: bool) -> File:
    return {
        "DEFAULT": _log(layout, "cinder")
        | {
            "host": f"{layout.name}-host-1",
            "my_ip": ADDRESS,
            "state_path": layout.var / "cinder",
            "api_paste_config": layout.runtime / "etc/cinder/api-paste.ini",
            "resource_query_filters_file": layout.runtime / "etc/cinder/resource_filters.json",
            "rootwrap_config": layout.runtime / "etc/cinder/rootwrap.conf",
            # The scheduler sleeps this long at its start before it knows the back ends.
            "periodic_interval": 5,
            "periodic_fuzzy_delay": 0,
            "auth_strategy": "keystone",
            "transport_url": "fake://",
            "enabled_backends": "files",
            "default_volume_type": "default",
            "glance_api_servers": layout.url("glance"),
            "glance_ca_certificates_file": layout.ca,
            "image_conversion_dir": layout.var / "cinder/conversion",
            "enable_force_upload": force_upload,
            "volume_clear": "none",
            "quota_volumes": 100,
            "quota_snapshots": 100,
            "quota_backups": 50,
            "quota_gigabytes": 2000,
            "quota_backup_gigabytes": 1000,
            # Otherwise the default class in the database, made by a migration, wins over these.
            "use_default_quota_class": False,
            "backup_driver": "cinder.backup.drivers.posix.PosixBackupDriver",
            "backup_posix_path": layout.var / "backups",
            "backup_use_same_host": False,
            # What backup first tells the scheduler is lost when that starts later: tell it often.
            "backup_driver_stats_polling_interval": 10,
        },
        "files": {
            "volume_backend_name": "default",
            "volume_driver": "file_volumes.FileDriver",
            "file_volumes_dir": layout.var / "volumes",
        },
        "database": {"connection": database(layout, "cinder")},
        "nova": _account(layout, secrets, "cinder") | {"interface": "public"},
        "service_user": _service_user(layout, secrets, "cinder"),
        "key_manager": {"backend": "barbican"},
        "barbican": {"auth_endpoint": layout.auth_url},
        "keystone_authtoken": _token(layout, secrets, "cinder"),
        "oslo_concurrency": {"lock_path": layout.var / "lock-cinder"},
        "coordination": {"backend_url": f"file://{layout.var / 'cinder/coordination'}"},
        "oslo_messaging_notifications": _QUIET,
    }


def _barbican(layout: Layout, secrets: Secrets) -> File:
    return {
        "DEFAULT": _log(layout, "barbican")
        | {"host_href": layout.url("barbican"), "transport_url": "fake://", "db_auto_create": False},
        "database": {"connection": database(layout, "barbican")},
        "queue": {"enable": False},
        "secretstore": {"enabled_secretstore_plugins": "store_crypto"},
        "crypto": {"enabled_crypto_plugins": "simple_crypto"},
        "simple_crypto_plugin": {"kek": secrets.barbican_kek},
        "keystone_authtoken": _token(layout, secrets, "barbican"),
        "oslo_messaging_notifications": _QUIET,
    }


# --- object storage

_SWIFT_SERVERS = ("account", "container", "object")
# authtoken stands before s3api: after s3token it would strip what that has found out about the user.
_PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats container_sync bulk tempurl authtoken s3api "
    "s3token keystoneauth copy container-quotas account-quotas slo dlo versioned_writes symlink "
    "proxy-server"
)
"""Without proxy-logging, which composes two lines for each request that `log_level` then leaves out: a tenth of a request."""


def _swift(layout: Layout, secrets: Secrets) -> File:
    return {
        "swift-hash": {
            "swift_hash_path_prefix": secrets.swift_hash_prefix,
            "swift_hash_path_suffix": secrets.swift_hash_suffix,
        },
        "storage-policy:0": {"name": "standard", "default": "yes", "policy_type": "replication"},
    }


def _swift_server(layout: Layout, name: str) -> File:
    return {
        "DEFAULT": {
            "devices": layout.var / "swift",
            "mount_check": False,
            "swift_dir": layout.etc / "swift",
            "log_name": f"swift-{name}",
            "log_address": layout.run / "no-syslog",
            "log_level": "WARNING",
            "log_custom_handlers": "swift_log.to_stderr",
            "disable_fallocate": True,
            "fallocate_reserve": 0,
        },
        "pipeline:main": {"pipeline": f"{name}-server"},
        f"app:{name}-server": {"use": f"egg:swift#{name}", "log_requests": False, "network_chunk_size": 2**20,
                              "disk_chunk_size": 2**20},
        "object-expirer": {"interval": 60, "processes": 0, "auto_create_account_prefix": "."},
    }  # fmt: skip


def _swift_proxy(layout: Layout, secrets: Secrets) -> File:
    swift = _account(layout, secrets, "swift")
    filters: dict[str, Section] = {
        f"filter:{name}": {"use": f"egg:swift#{name.replace('-', '_')}"}
        for name in _PIPELINE.split()
        if name not in ("authtoken", "cache", "s3api", "s3token", "proxy-server", "keystoneauth")
    }
    filters |= {
        "filter:cache": {"paste.filter_factory": "swift_cache:filter_factory"},
        "filter:s3api": {"use": "egg:swift#s3api", "s3_acl": False, "location": REGION},
        "filter:s3token": swift
        | {"use": "egg:swift#s3token", "auth_uri": layout.auth_url, "certfile": layout.ca}
        | {"delay_auth_decision": True},
        "filter:authtoken": _token(layout, secrets, "swift")
        | {"paste.filter_factory": "keystonemiddleware.auth_token:filter_factory"}
        | {"delay_auth_decision": True, "cache": "swift.cache"},
        # No system_reader_roles: such a role reads every account, and its holder is nobody's owner. `member` implies
        # `reader`, so each member would read all projects and see no ACL of his own.
        "filter:keystoneauth": {"use": "egg:swift#keystoneauth", "operator_roles": "admin, member"}
        | {"project_reader_roles": "reader"},
        "filter:versioned_writes": {"use": "egg:swift#versioned_writes", "allow_versioned_writes": True}
        | {"allow_object_versioning": True},
    }
    return {
        "DEFAULT": {
            "swift_dir": layout.etc / "swift",
            "log_name": "swift-proxy",
            "log_address": layout.run / "no-syslog",
            "log_level": "WARNING",
            "log_custom_handlers": "swift_log.to_stderr",
        },
        "pipeline:main": {"pipeline": _PIPELINE},
        "app:proxy-server": {
            "use": "egg:swift#proxy",
            "account_autocreate": True,
            "object_chunk_size": 2**20,
            "client_chunk_size": 2**20,
        },
        **filters,
    }
