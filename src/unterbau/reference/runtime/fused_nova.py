# SPDX-License-Identifier: Apache-2.0
"""nova-api, conductor, scheduler and several computes as threads of one process: `fused_nova.py CONF PORT HOST...`.

They talk over oslo.messaging's `fake://` transport, which lives in the process. Several hosts, so that
anti-affinity has somewhere to go.
"""

import os
import shlex
import socket
import sys
import threading
import time

import https_server

# libvirt's binding, where guests run: it comes with the system, not with the runtime.
sys.path += filter(None, [os.environ.get("UNTERBAU_LIBVIRT")])
conf_file, port, hosts = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sys.argv = ["nova", "--config-file", conf_file]

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import kept_guests
import nova.conf
import nova.privsep
import nova.virt.node
import os_brick
import os_brick.privileged
import os_vif
import sqlite_writers
import vif_plug_ovs.privsep
from nova import context, service, utils
from nova.api.openstack import wsgi_app
from nova.compute import rpcapi as compute_rpc
from nova.conductor import rpcapi as conductor_rpc
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler_rpc
from oslo_privsep import priv_context
from paste import deploy


def have_driver():
    """Nova loads a driver from its own package only."""
    sys.modules["nova.virt.kept_guests"] = kept_guests
    if "UNTERBAU_LIBVIRT" in os.environ:
        import libvirt_disks

        libvirt_disks.install()


def have_paste_file():
    """Nova looks for its paste file beside nova.conf only. Its path."""
    beside = os.path.join(os.path.dirname(conf_file), "api-paste.ini")
    if not os.path.exists(beside):
        os.symlink(os.path.join(sys.prefix, "etc/nova/api-paste.ini"), beside)
    return beside


def have_metadata(paste_file):
    """The metadata API beside the other, where somebody in the ground asks for guests."""
    if "UNTERBAU_NOVA_METADATA" in os.environ:
        answers = deploy.loadapp(f"config:{paste_file}", name="metadata")
        https_server.serve_beside(answers, os.environ["UNTERBAU_NOVA_METADATA"])


def no_privileges():
    """Nothing here needs root: privileged functions run in this process instead of a daemon."""
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    for one in (nova.privsep.sys_admin_pctxt, os_brick.privileged.default, vif_plug_ovs.privsep.vif_plug):
        one.set_client_mode(False)


def wait_for_needs():
    """Until accounts are in place and Keystone and Placement listen; the loading so far needed none of them."""
    mark, *ports = os.environ["UNTERBAU_NOVA_NEEDS"].rsplit(":", 2)
    while not os.path.exists(mark) or not all(listens(int(port)) for port in ports):
        time.sleep(0.05)


def listens(port):
    """Whether a service, which listens when it is loaded, listens there."""
    try:
        socket.create_connection((https_server.ADDRESS, port), timeout=1).close()
    except OSError:
        return False
    return True


def start_services():
    """Conductor and scheduler, then each compute; then all hosts are known to the cell."""
    one_service("nova-conductor", topic=conductor_rpc.RPC_TOPIC)
    one_service("nova-scheduler", topic=scheduler_rpc.RPC_TOPIC)
    for host in hosts:
        # Parts of the compute manager read the host from the configuration while it starts.
        nova.conf.CONF.set_override("host", host)
        one_service("nova-compute", host=host, topic=compute_rpc.RPC_TOPIC, topic_alt=compute_rpc.RPC_TOPIC_ALT)
    nova.conf.CONF.set_override("host", hosts[0])
    # The scheduler's own discovery first waits up to a minute.
    host_mapping.discover_hosts(context.get_admin_context())


def one_service(binary, **settings):
    """Start one; it lives in threads of its own."""
    service.Service.create(binary=binary, **settings).start()


def main():
    """The API is loaded while the services start, and answers when both are done."""
    https_server.end_with_supervisor()
    sqlite_writers.install()
    have_driver()
    paste_file = have_paste_file()
    application = wsgi_app.init_application("osapi_compute", "nova")
    os_brick.setup(nova.conf.CONF)
    os_vif.initialize()
    no_privileges()
    os.makedirs(nova.conf.CONF.state_path, exist_ok=True)
    if nova.virt.node.read_local_node_uuid() is None:
        # Asked for at start; the ids that count are those of kept_guests.
        nova.virt.node.get_local_node_uuid()
    wait_for_needs()
    start_services()
    have_metadata(paste_file)
    https_server.serve(application, port)


if __name__ == "__main__":
    threading.current_thread().name = "nova"
    main()
