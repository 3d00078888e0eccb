# SPDX-License-Identifier: Apache-2.0
"""Serve one WSGI application over TLS on loopback, in native threads; every service program here calls it.

cheroot, because it terminates TLS itself (no plain-text listener exists), streams request bodies (an image of
a GiB is neither buffered in memory nor written to disk first) and accepts chunked ones. waitress does neither
TLS nor streaming; a proxy in front would be one more process and one more copy of every byte.

Environment: UNTERBAU_TLS_CERT, UNTERBAU_TLS_KEY (files), UNTERBAU_LIFELINE_FD (a pipe; when its other end
closes, the supervisor is gone and the process ends).
"""

import gc
import os
import signal
import ssl
import sys
import threading
from traceback import format_exc

# What a service loads stays: looking for cycles in it while it loads is a tenth of the start. Whoever imports this calls
# `loaded`, or `serve`, which does.
gc.disable()

ADDRESS = "127.0.0.1"
THREADS = 10
IDLE_SECONDS = 120


def end_with_supervisor():
    """End this process when the supervisor's end of the lifeline closes; end at once on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    # A terminal must not be able to end a service (reading a guest's console may make one controlling).
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle = os.environ.pop("UNTERBAU_LIFELINE_FD", "")
    if handle:
        threading.Thread(target=_wait_for_end, args=(int(handle),), daemon=True, name="lifeline").start()


def _wait_for_end(handle):
    while os.read(handle, 1):
        pass
    os._exit(1)


def loaded():
    """All is loaded: from now on garbage is looked for, and not in what was loaded."""
    gc.freeze()
    gc.enable()


class KeptOpen:
    """The body of a request, which an application may not close: it is the connection's (Glance closes it)."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __iter__(self):
        return iter(self._stream)

    def close(self):
        """The connection lives on for the next request."""


def kept_open(application):
    """The application, with bodies that it cannot close."""

    def shielded(environ, start_response):
        environ["wsgi.input"] = KeptOpen(environ["wsgi.input"])
        return application(environ, start_response)

    return shielded


def log_defect(message="", level=20, traceback=False):
    """Tell what an application raised; a client that goes away or speaks plain http is no error of ours."""
    kind = sys.exc_info()[0]
    if kind is not None and not issubclass(kind, OSError) and not kind.__module__.startswith("cheroot."):
        sys.stderr.write(f"{message}\n{format_exc()}\n")


def tls_context():
    """The server's side of TLS: 1.2 or newer, the cloud's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM")  # those of Mozilla's intermediate profile
    context.load_cert_chain(os.environ["UNTERBAU_TLS_CERT"], os.environ["UNTERBAU_TLS_KEY"])
    return context


def serve_beside(application, place):
    """Answer without TLS on a Unix socket too, in threads of its own; who may open its folder may ask."""
    from cheroot import wsgi

    server = wsgi.Server(place, kept_open(application), numthreads=2, max=8)
    server.timeout = IDLE_SECONDS
    server.error_log = log_defect
    server.prepare()
    threading.Thread(target=server.serve, daemon=True, name="beside").start()


def serve(application, port, threads=THREADS):
    """Answer requests until the process ends."""
    from cheroot import wsgi
    from cheroot.errors import FatalSSLAlert
    from cheroot.ssl.builtin import BuiltinSSLAdapter

    class Adapter(BuiltinSSLAdapter):
        """Leaves the handshake to the thread that reads: cheroot's makes all clients wait for a slow one's."""

        def wrap(self, sock):
            try:
                secured = self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True)
            except OSError as error:  # it is gone already
                raise FatalSSLAlert(*error.args) from error
            return secured, {"wsgi.url_scheme": "https", "HTTPS": "on"}

    server = wsgi.Server(
        (ADDRESS, port), kept_open(application), numthreads=threads, max=threads, request_queue_size=128
    )
    adapter = Adapter(os.environ["UNTERBAU_TLS_CERT"], os.environ["UNTERBAU_TLS_KEY"])
    adapter.context = tls_context()
    server.ssl_adapter = adapter
    server.timeout = IDLE_SECONDS
    server.keep_alive_conn_limit = 200
    server.server_name = ADDRESS
    server.error_log = log_defect
    loaded()
    server.safe_start()
