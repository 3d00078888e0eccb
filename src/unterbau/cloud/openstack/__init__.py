# SPDX-License-Identifier: Apache-2.0
"""OpenStack behind the port: the only importer of keystoneauth, openstacksdk, requests and urllib3."""

from unterbau.cloud.openstack.cloud import connect
from unterbau.cloud.openstack.session import cloud_names

__all__ = ["cloud_names", "connect"]
