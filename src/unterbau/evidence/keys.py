# SPDX-License-Identifier: Apache-2.0
"""The signing key of this user: made on first use, mode 0600, Ed25519. Called by `wiring`.

Libraries of signatures are loaded where something is signed: most verbs only might.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unterbau import files
from unterbau.errors import LocalError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key  # type: ignore[attr-defined]

Signer: TypeAlias = "CryptoSigner"
"""What signs a bundle; each verb's `evidence` takes one."""


def signing_key(folder: Path) -> CryptoSigner:
    """The key in `folder`; makes it if there is none. Raises LocalError."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    path = folder / "signing.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise LocalError(f"{path}: others can read the signing key", f"chmod 600 {path}, or move it away.")
        private = load_pem_private_key(path.read_bytes(), None)
        return CryptoSigner(private)
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{path}: the signing key cannot be used ({error})", "Move it away to have a new one made."
        ) from None


def _make(path: Path) -> None:
    """Two at once: the first link wins, the other reads it. What a killed one left is taken over."""
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    fresh = path.with_name(f".{os.getpid()}.pem")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(CryptoSigner.generate_ed25519().private_bytes)
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()
    files.sync_folder(path.parent)


def fingerprint(key: Key) -> str:
    """How a person names a key: its id."""
    return str(key.keyid)
