# SPDX-License-Identifier: Apache-2.0
"""The metadata service of a cloud's networks: `guest_metadata.py ORDER.json`, run in the ground; standard library only.

It does what Neutron's OVN metadata agent does with a proxy (haproxy) for each network: where servers of this host have
ports, the network's metadata port stands in a network namespace of its own, and 169.254.169.254 answers there. A request
is the server's from whose address it comes, by what OVN has of that network's ports; headers of the guest that say
otherwise are not read. It goes, signed, to Nova's metadata API over a Unix socket: no other way leads out of the ground.

A namespace is a thread's; it and its devices end with this process, in whatever way. What is left in the switch's database
is taken out at the start.
"""

import codecs
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import https_server

ADDRESS, PORT = "169.254.169.254", 80
NEWNET = 0x40000000
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "unterbau-metadata"
COLUMNS = ["logical_port", "type", "mac", "datapath", "external_ids", "chassis"]
BODY_BYTES = 2**16
ANSWER_SECONDS = 60

libc = ctypes.CDLL(None, use_errno=True)


def run(*argv, fds=()):
    """A command that must succeed, in the namespace of the calling thread; what it says."""
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "PATH": SYSTEM}, pass_fds=fds)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


# --- what OVN knows


def plain(value):
    """OVSDB's notation (RFC 7047, section 5.1) as Python's: a set is a list, a map a dict, a uuid its text."""
    if isinstance(value, list):
        kind, content = value
        if kind == "map":
            return {key: plain(one) for key, one in content}
        return [plain(one) for one in content] if kind == "set" else content
    return value


def ports(database):
    """All rows of Port_Binding by uuid, again after each change; ends with the connection. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(database)
        asked = ["OVN_Southbound", None, {"Port_Binding": {"columns": COLUMNS}}]
        line.sendall(json.dumps({"id": 0, "method": "monitor", "params": asked}).encode())
        rows, told, changed = {}, "", False
        letters, decode = codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder().raw_decode
        while data := line.recv(2**16):
            told += letters.decode(data)
            changed = False
            while told := told.lstrip():
                try:
                    message, end = decode(told)
                except ValueError:
                    break
                told = told[end:]
                if message.get("method") == "echo":
                    answer = {"id": message["id"], "result": message["params"], "error": None}
                    line.sendall(json.dumps(answer).encode())
                    continue
                if message.get("error"):
                    raise OSError(f"OVN refused: {message['error']}")
                changes = message["params"][1] if message.get("method") == "update" else message.get("result") or {}
                for uuid, row in changes.get("Port_Binding", {}).items():
                    changed = True
                    rows.pop(uuid, None)
                    if "new" in row:
                        rows[uuid] = {name: plain(value) for name, value in row["new"].items()}
            if changed:
                yield rows


def wanted(rows):
    """By network (its datapath): the metadata port's row, and the servers by address as (server, project)."""
    found = {}
    for row in rows.values():
        place, servers = found.setdefault(row["datapath"], ([], {}))
        more = row["external_ids"]
        if row["type"] == "localport" and more.get("neutron:device_id", "").startswith("ovnmeta-"):
            place.append(row)
        elif row["type"] == "" and row["chassis"] and more.get("neutron:device_owner", "").startswith("compute:"):
            for cidr in more.get("neutron:cidrs", "").split():
                servers[cidr.partition("/")[0]] = (more["neutron:device_id"], more["neutron:project_id"])
    return {
        name: (place[0], servers) for name, (place, servers) in found.items() if place and servers and place[0]["mac"]
    }


# --- one network


class Network:
    """The namespace of one network, and who answers there."""

    def __init__(self, name, port, servers, order):
        self.servers, self.port, self.order = servers, port, order
        self.outer, self.inner = f"m{name[:12]}", f"i{name[:12]}"
        self._server = None
        made, self._tell = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._live, args=(made,), daemon=True, name=name)
        self._thread.start()
        made.wait()
        self._connect()
        self._tell.set()

    def _connect(self):
        """A pair of devices: one end in the switch, one in the namespace."""
        handle = self._namespace
        run("ip", "link", "add", self.outer, "type", "veth", "peer", "name", self.inner, "netns", f"/proc/self/fd/{handle}",
            fds=(handle,))  # fmt: skip
        run("ip", "link", "set", self.outer, "up")
        run("ovs-vsctl", f"--db={self.order['switch']}", "--may-exist", "add-port", "br-int", self.outer,
            "--", "set", "Interface", self.outer, f"external_ids:iface-id={self.port['logical_port']}",
            f"external_ids:{MARK}=yes")  # fmt: skip

    def _live(self, made):
        if libc.unshare(NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        made.set()
        self._tell.wait()
        mac, more = self.port["mac"], self.port["external_ids"]
        mac = (mac if isinstance(mac, str) else mac[0]).split()[0]
        mtu = more.get("neutron:mtu") or "1442"
        run("ip", "link", "set", "lo", "up")
        # The switch drops what has no checksum.
        run("ethtool", "-K", self.inner, "tx", "off")
        run("ip", "link", "set", self.inner, "address", mac, "mtu", mtu, "up")
        addresses = [one for one in more.get("neutron:cidrs", "").split() if ":" not in one]
        for address in (*addresses, f"{ADDRESS}/32"):
            run("ip", "address", "add", address, "dev", self.inner)
        self._server = Server((ADDRESS, PORT), Handler)
        self._server.network = self
        self._server.serve_forever()

    def end(self):
        """Nobody is left to be answered: the devices and the namespace go."""
        for argv in (
            ("ovs-vsctl", f"--db={self.order['switch']}", "--if-exists", "del-port", "br-int", self.outer),
            ("ip", "link", "del", self.outer),
        ):
            with contextlib.suppress(OSError):
                run(*argv)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        os.close(self._namespace)


class Server(http.server.ThreadingHTTPServer):
    """One network's."""

    daemon_threads = True


class Local(http.client.HTTPConnection):
    """Over a Unix socket."""

    def __init__(self, place):
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._place = place

    def connect(self):
        """See the base class."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._place)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a guest."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "unterbau", ""
    timeout = 30

    def answer(self):
        """As Nova answers, or 404 for somebody whom the network does not know."""
        network, address = self.server.network, self.client_address[0]
        length = self.headers.get("Content-Length", "0")
        if not self.path.startswith("/") or not length.isdecimal() or int(length) > BODY_BYTES:
            self.close_connection = True
            return self.send_error(400)
        body = self.rfile.read(int(length)) or None
        server, project = network.servers.get(address, (None, None))
        if server is None:
            return self.send_error(404)
        signature = hmac.new(network.order["secret"].encode(), server.encode(), hashlib.sha256).hexdigest()
        signed = {"X-Forwarded-For": address, "X-Instance-ID": server, "X-Tenant-ID": project,
                  "X-Instance-ID-Signature": signature}  # fmt: skip
        nova = Local(network.order["nova"])
        try:
            nova.request(self.command, self.path, body, signed)
            told = nova.getresponse()
            data = told.read()
        except (OSError, http.client.HTTPException):
            return self.send_error(503)
        finally:
            nova.close()
        self.send_response(told.status)
        self.send_header("Content-Type", told.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """Read."""
        self.answer()

    def do_POST(self):
        """What Nova lets a guest say: a password, encrypted."""
        self.answer()

    def log_message(self, format, *args):
        """What guests ask is theirs."""


# --- all of them


def follow(order):
    """Have what is wanted, for as long as OVN tells it."""
    have = {}
    for rows in ports(order["database"]):
        goal = wanted(rows)
        for name in [n for n, one in have.items() if n not in goal or told(goal[n][0]) != told(one.port)]:
            have.pop(name).end()
        for name, (port, servers) in goal.items():
            if name in have:
                have[name].servers = servers
            else:
                have[name] = Network(name, port, servers, order)


def told(port):
    """What a namespace is made from."""
    return port["logical_port"], port["mac"], port["external_ids"].get("neutron:cidrs")


def main(order):
    """Until the ground ends."""
    https_server.end_with_supervisor()
    https_server.loaded()
    left = run("ovs-vsctl", f"--db={order['switch']}", "--bare", "--columns=name", "find", "Interface",
               f"external_ids:{MARK}=yes").split()  # fmt: skip
    for name in left:
        run("ovs-vsctl", f"--db={order['switch']}", "--if-exists", "del-port", "br-int", name)
    follow(order)
    raise SystemExit("OVN has ended the connection")


if __name__ == "__main__":
    main(json.loads(pathlib.Path(sys.argv[1]).read_text()))
