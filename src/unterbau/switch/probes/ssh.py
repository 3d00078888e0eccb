# SPDX-License-Identifier: Apache-2.0
"""The host key of an SSH server: the key exchange of RFC 4253 with curve25519-sha256 (RFC 8731), and no further.

`asking` calls it. The server signs the exchange with its key, and that signature is verified, so that nobody shows a key
that he does not have. No session begins: nobody logs in, and nothing is encrypted. What has no curve25519 (OpenSSH has it
since 2014) is not understood.
"""

from __future__ import annotations

import hashlib
import os
import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from unterbau.switch.probes.line import Line

OURS = b"SSH-2.0-unterbau"
KEX = (b"curve25519-sha256", b"curve25519-sha256@libssh.org")
KEYS = (
    b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521", b"rsa-sha2-512",
    b"rsa-sha2-256",
)  # fmt: skip
CIPHERS = b"aes128-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
MACS = b"hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"
LINES_BEFORE = 50
"""Lines that a server may say before its version (RFC 4253, section 4.2)."""
LONGEST_LINE, LONGEST_PACKET, PACKETS = 1024, 65536, 20
_KEXINIT, _REPLY = 20, 31
_IGNORED = frozenset({2, 3, 4, 7})
"""Messages that may stand between (ignore, unimplemented, debug, extensions)."""
_HASHES = {
    b"ecdsa-sha2-nistp256": hashes.SHA256(), b"ecdsa-sha2-nistp384": hashes.SHA384(), b"ecdsa-sha2-nistp521": hashes.SHA512(),
    b"rsa-sha2-512": hashes.SHA512(), b"rsa-sha2-256": hashes.SHA256(),
}  # fmt: skip


class Faulty(Exception):
    """It is no SSH server, or one that does not prove its key, or that has nothing in common with us."""


class HostKey(NamedTuple):
    """`key` is the blob of RFC 4253, section 6.6; `software` the server's version line."""

    kind: str
    key: bytes
    software: bytes


def host_key(line: Line) -> HostKey:
    """Ask. Raises Faulty, and what the line raises."""
    heard = _Heard(line)
    line.send(OURS + b"\r\n")
    software = heard.version()
    ours = _kexinit()
    line.send(_packet(ours))
    theirs = heard.message(_KEXINIT)
    chosen = _chosen(theirs)
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    line.send(_packet(bytes([30]) + _string(public)))
    if _guessed_wrong(theirs):
        heard.message(None)
    reply = _Reader(heard.message(_REPLY)[1:])
    key, point, signed = reply.string(), reply.string(), reply.string()
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise Faulty from None
    parts = [OURS, software, ours, theirs, key, public, point]
    digest = hashlib.sha256(b"".join(map(_string, parts)) + _string(_mpint(shared))).digest()
    kind = _Reader(key).string()
    _verify(chosen, kind, key, signed, digest)
    return HostKey(kind.decode("ascii", "replace"), key, software)


class _Heard:
    """What the server says: lines first, then packets (RFC 4253, section 6)."""

    def __init__(self, line: Line) -> None:
        self._line, self._data = line, b""

    def version(self) -> bytes:
        for _ in range(LINES_BEFORE):
            while b"\n" not in self._data:
                if len(self._data) > LONGEST_LINE:
                    raise Faulty
                self._more()
            said, _, self._data = self._data.partition(b"\n")
            if said.startswith((b"SSH-2.0-", b"SSH-1.99-")):
                return said.removesuffix(b"\r")
            if len(said) > LONGEST_LINE:
                raise Faulty
        raise Faulty

    def message(self, number: int | None) -> bytes:
        """The next message of that number (None: of any), without those that may stand between."""
        for _ in range(PACKETS):
            length = struct.unpack(">I", self._take(4))[0]
            if not 5 <= length <= LONGEST_PACKET:
                raise Faulty
            packet = self._take(length)
            payload = packet[1 : length - packet[0]]
            if not payload or (payload[0] != number and number is not None and payload[0] not in _IGNORED):
                raise Faulty
            if payload[0] not in _IGNORED:
                return payload
        raise Faulty

    def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            self._more()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _more(self) -> None:
        data = self._line.receive()
        if not data:
            raise Faulty
        self._data += data


class _Reader:
    """Strings one after the other (RFC 4251, section 5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def string(self) -> bytes:
        length = int.from_bytes(self._data[:4], "big")
        if len(self._data) < 4 + length:
            raise Faulty
        found, self._data = self._data[4 : 4 + length], self._data[4 + length :]
        return found


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: bytes) -> bytes:
    plain = number.lstrip(b"\0")
    return b"\0" + plain if plain[:1] >= b"\x80" else plain


def _packet(payload: bytes) -> bytes:
    padding_ = 8 - (len(payload) + 5) % 8
    padding_ += 8 if padding_ < 4 else 0
    return struct.pack(">IB", len(payload) + padding_ + 1, padding_) + payload + b"\0" * padding_


def _kexinit() -> bytes:
    lists = [b",".join(KEX), b",".join(KEYS), CIPHERS, CIPHERS, MACS, MACS, b"none", b"none", b"", b""]
    return bytes([_KEXINIT]) + os.urandom(16) + b"".join(map(_string, lists)) + b"\0" * 5


def _lists(kexinit: bytes) -> tuple[Sequence[bytes], Sequence[bytes], bool]:
    """Key exchanges, host keys, whether a guess follows (RFC 4253, section 7.1)."""
    reader = _Reader(kexinit[17:])
    lists = [reader.string() for _ in range(10)]
    return lists[0].split(b","), lists[1].split(b","), kexinit[17 + sum(4 + len(one) for one in lists) :][:1] == b"\1"


def _chosen(theirs: bytes) -> bytes:
    """The first of our host keys' algorithms that the server has, too."""
    exchanges, keys, _ = _lists(theirs)
    chosen = next((one for one in KEYS if one in keys), None)
    if chosen is None or not set(KEX) & set(exchanges):
        raise Faulty
    return chosen


def _guessed_wrong(theirs: bytes) -> bool:
    """Whether a packet follows that is to be passed over."""
    exchanges, keys, follows = _lists(theirs)
    return follows and (exchanges[0] != KEX[0] or keys[0] != KEYS[0])


def _verify(chosen: bytes, kind: bytes, key: bytes, signed: bytes, digest: bytes) -> None:
    """Raises Faulty if the key is not of the algorithm that was agreed on, or did not sign the exchange."""
    reader = _Reader(signed)
    algorithm, signature = reader.string(), reader.string()
    if algorithm != chosen or kind != (b"ssh-rsa" if chosen.startswith(b"rsa-") else chosen):
        raise Faulty
    try:
        public = load_ssh_public_key(kind + b" " + b64encode(key))
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, digest)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            parts = _Reader(signature)
            r, s = (int.from_bytes(parts.string(), "big") for _ in range(2))
            public.verify(encode_dss_signature(r, s), digest, ec.ECDSA(_HASHES[chosen]))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, digest, padding.PKCS1v15(), _HASHES[chosen])
        else:
            raise Faulty
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise Faulty from None
