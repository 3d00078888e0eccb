# SPDX-License-Identifier: Apache-2.0
"""Swift's proxy, account, container and object server in one process: `fused_swift.py ETC RUN PORT`.

The proxy speaks TLS. The three servers behind it know no authentication, so they listen on unix sockets in a
directory of the owner's; the ring gives them port numbers that no TCP socket ever gets. Rings of one device
are made here if there are none. The expirer runs beside them.
"""

import os
import socket as plain_socket
import sys
import time
import traceback

import eventlet
import https_server

# The lifeline wants a thread of its own, and a TLS context its own class: both before the patch.
https_server.end_with_supervisor()
TLS = https_server.tls_context()

eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)

import eventlet.debug
import eventlet.wsgi
from eventlet.green import socket
from eventlet.green.ssl import GreenSSLSocket
from swift.common import bufferedhttp, constraints
from swift.common.ring import RingBuilder
from swift.common.utils import NullLogger, get_hub, readconf, set_swift_dir
from swift.common.wsgi import RestrictedGreenPool, SwiftHttpProtocol, loadapp
from swift.obj.expirer import ObjectExpirer

PARTS = {"account": 1, "container": 2, "object": 3}
"""Server -> the number that stands for its port in the ring."""


def have_rings(etc):
    """A ring of one device for each server."""
    for name, number in PARTS.items():
        path = os.path.join(etc, f"{name}.ring.gz")
        if os.path.exists(path):
            continue
        builder = RingBuilder(6, 1, 0)
        builder.add_dev(
            {
                "id": 0,
                "region": 1,
                "zone": 1,
                "ip": "127.0.0.1",
                "port": number,
                "device": "d1",
                "weight": 1.0,
            }
        )
        builder.rebalance()
        builder.get_ring().save(path)
        os.chmod(path, 0o600)


def have_device(etc):
    """The directory that stands for the one disk."""
    conf = readconf(os.path.join(etc, "object-server.conf"), section_name="app:object-server")
    os.makedirs(os.path.join(conf["devices"], "d1"), exist_ok=True)


def through_sockets(run):
    """Connections to a device of the ring go to the unix socket of its server."""
    paths = {number: socket_path(run, name) for name, number in PARTS.items()}
    original = bufferedhttp.BufferedHTTPConnection.connect

    def connect(self):
        path = paths.get(int(self.port or 0))
        if path is None:
            return original(self)
        self._connected_time = time.time()
        self.sock = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        self.sock.connect(path)
        return None

    bufferedhttp.BufferedHTTPConnection.connect = connect


def socket_path(run, name):
    """Where a server listens."""
    return os.path.join(run, f"swift-{name}.sock")


def listen_unix(path):
    """A listening socket that only the owner can open."""
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(256)
    return listener


def listen_tls(port):
    """The proxy's listening socket, with the TLS settings of the other services."""
    listener = eventlet.listen(("127.0.0.1", port), backlog=256)
    return GreenSSLSocket(listener, server_side=True, do_handshake_on_connect=False, _context=TLS)


def answer(listener, conf_path, name):
    """Serve one application for ever."""
    app = loadapp(conf_path, global_conf={"log_name": name}, allow_modify_pipeline=False)
    https_server.loaded()
    eventlet.wsgi.server(
        listener,
        app,
        NullLogger(),
        custom_pool=RestrictedGreenPool(size=256),
        protocol=SwiftHttpProtocol,
        socket_timeout=300,
        capitalize_response_headers=False,
        url_length_limit=constraints.MAX_REQUEST_LINE,
    )


def expire(etc):
    """Delete objects whose time has come, once a minute."""
    conf = readconf(os.path.join(etc, "object-server.conf"), section_name="object-expirer")
    expirer = ObjectExpirer(conf)
    while True:
        eventlet.sleep(60)
        expirer.run_once()


def main():
    """Start all; end when one of them ends."""
    etc, run, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    eventlet.hubs.use_hub(get_hub())
    eventlet.debug.hub_exceptions(False)
    set_swift_dir(etc)
    have_rings(etc)
    have_device(etc)
    through_sockets(run)
    threads = [
        eventlet.spawn(answer, listen_unix(socket_path(run, name)), os.path.join(etc, f"{name}-server.conf"), name)
        for name in PARTS
    ]
    threads.append(eventlet.spawn(answer, listen_tls(port), os.path.join(etc, "proxy-server.conf"), "proxy"))
    eventlet.spawn(expire, etc)
    for thread in threads:
        thread.link(end_of_one)
    threads[-1].wait()


def end_of_one(thread):
    """A server that ends takes the process with it; the supervisor restarts it and shows why."""
    try:
        thread.wait()
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    main()
