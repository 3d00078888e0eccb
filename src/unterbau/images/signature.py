# SPDX-License-Identifier: Apache-2.0
"""Whether a vendor's key signed a checksum file: asked of gpgv, which trusts the keyring that it is given and nothing else.

Without gpgv, without the keyring, or where the catalogue knows no key it is *not shown*. A signature that is another's, or of
other bytes, is a failure.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from unterbau import files
from unterbau.errors import Failed
from unterbau.images.model import Entry
from unterbau.verdict import Outcome, Reason, Words

_SECONDS = 60


def check(entry: Entry, signed: bytes, signature: bytes) -> tuple[Outcome, Words]:
    """Held, or not shown and why. Raises Failed for a signature that is wrong."""
    if why := cannot(entry):
        return Outcome.NOT_SHOWN, why
    with files.passing("signature") as folder:
        data, sign = folder / "data", folder / "sign"
        data.write_bytes(signed)
        sign.write_bytes(signature)
        told = subprocess.run(
            ["gpgv", "--status-fd", "1", "--homedir", folder, "--keyring", entry.keyring, str(sign), str(data)],
            capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS,
        )  # fmt: skip
    valid = [line.split() for line in told.stdout.splitlines() if line.startswith("[GNUPG:] VALIDSIG ")]
    if told.returncode or not any(entry.signer in words[2:] for words in valid):
        raise Failed(
            f"{entry.name}: {entry.signature} is no signature of {entry.checksums} by {entry.signer}",
            "Nothing was made. Ask the vendor.", told.stderr.splitlines()[-3:],
        )  # fmt: skip
    return Outcome.HELD, Reason.of("images.signed", signer=entry.signer)


def cannot(entry: Entry) -> Words:
    """Why no signature can be looked at, or ""."""
    if not entry.signature:
        return Reason.of("images.unsigned")
    if not Path(entry.keyring).is_file():
        return Reason.of("images.no-key", keyring=entry.keyring)
    if shutil.which("gpgv") is None:
        return Reason.of("images.no-gpgv")
    return ""
