# SPDX-License-Identifier: Apache-2.0
"""cinder-api, scheduler, volume and backup as threads of one process: `fused_cinder.py CONF PORT`."""

import shlex
import sys
import threading

import https_server

conf_file, port = sys.argv[1], int(sys.argv[2])
sys.argv = ["cinder", "--config-file", conf_file]

from cinder import monkey_patch

monkey_patch.patch(backend="threading")

import cinder.privsep
import eventlet.tpool
import glanceclient.common.http
import os_brick
import os_brick.privileged
import sqlite_writers
from cinder import objects, policy, service, utils  # noqa: F401 - objects registers itself
from cinder.cmd import volume as volume_command
from cinder.common import config, constants  # noqa: F401 - config registers itself
from cinder.wsgi import wsgi
from oslo_config import cfg
from oslo_privsep import priv_context

CONF = cfg.CONF


def no_eventlet_pool():
    """Run what upstream gives to eventlet's thread pool in place: with native threads only one would wake."""
    eventlet.tpool.execute = lambda function, *args, **kwargs: function(*args, **kwargs)
    eventlet.tpool.Proxy = lambda wrapped, *args, **kwargs: wrapped


def own_heartbeats():
    """Cinder keeps the id of *the* service of a process in a class attribute: give each its own heartbeat."""
    lock, report = threading.Lock(), service.Service.report_state

    def report_state(self):
        with lock:
            kept = service.Service.service_id
            service.Service.service_id = self.origin_service_id
            try:
                report(self)
            finally:
                service.Service.service_id = kept

    service.Service.report_state = report_state


def one_backup_host():
    """The scheduler waits for reports of backup hosts that do not reach it here; there is exactly one."""
    from cinder.scheduler import host_manager

    host_manager.HostManager._list_backup_services = lambda self, zone, driver=None: [CONF.host]


def no_privileges():
    """Nothing here needs root: privileged functions run in this process instead of a daemon."""
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(CONF)
    cinder.privsep.sys_admin_pctxt.set_client_mode(False)
    os_brick.privileged.default.set_client_mode(False)


def start_services():
    """Backup and volume at once; the scheduler, which sleeps first, beside the API."""
    # It registers the options of backup, and needs the objects, which exist now only.
    from cinder.backup import manager  # noqa: F401

    scheduler = service.Service.create(binary="cinder-scheduler")
    started = [service.Service.create(binary="cinder-backup", coordination=True, process_number=1)]
    for back_end in CONF.enabled_backends:
        CONF.register_opt(volume_command.host_opt, group=back_end)
        started.append(
            service.Service.create(
                host=f"{CONF.host}@{back_end}",
                service_name=back_end,
                binary=constants.VOLUME_BINARY,
                coordination=True,
            )
        )
    for one in started:
        one.start()
    threading.Thread(target=scheduler.start, daemon=True, name="scheduler").start()


def main():
    """The API answers when volume and backup have started."""
    https_server.end_with_supervisor()
    sqlite_writers.install()
    no_eventlet_pool()
    own_heartbeats()
    glanceclient.common.http.CHUNKSIZE = 2**20
    application = wsgi.initialize_application()
    policy.init()  # before it listens, for the reason that stands in neutron_app
    no_privileges()
    one_backup_host()
    start_services()
    https_server.serve(application, port)


if __name__ == "__main__":
    main()
