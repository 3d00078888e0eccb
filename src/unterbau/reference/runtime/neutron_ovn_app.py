# SPDX-License-Identifier: Apache-2.0
"""Neutron's application where OVN carries the packets (`neutron_app` says the rest).

Workers of Neutron share what OVN reports by a ring in the database, and the thread that reads from OVN writes there that
it lives. SQLite has one writer at a time: a request that writes waits for OVN's answer, which that thread would read, and
the thread waits for the request, until one of them gives up after a minute. There is one worker here: all is its own.
"""

import logging

from neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb import ovsdb_monitor

LOG = logging.getLogger(__name__)


def notify(self, event, row, updates=None):
    """In place of upstream's: without the ring."""
    try:
        self.notify_handler.notify(event, row, updates, global_=True)
        self.notify_handler.notify(event, row, updates)
    except Exception:
        LOG.exception("what OVN told could not be handled")


ovsdb_monitor.OvnIdlDistributedLock.notify = notify

from neutron_app import application

__all__ = ["application"]
