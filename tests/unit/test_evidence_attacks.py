# SPDX-License-Identifier: Apache-2.0
"""Bundles made to harm who checks them: each is refused, and before it takes what it wants to take."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kept_bundles import FIRST
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import nesting
from unterbau.cli import cli
from unterbau.errors import BundleError
from unterbau.evidence import limits
from unterbau.evidence.container import pack
from unterbau.evidence.core import STATEMENT, sign
from unterbau.evidence.opening import open_bundle, read_file
from unterbau.switch import evidence
from unterbau.switch.evidence.bundle import NOT_TESTED
from unterbau.verdict import Outcome

REAL = FIRST.read_bytes()
STRANGER = CryptoSigner.generate_ed25519()
EPOCH = (2020, 1, 1, 0, 0, 0)


def members(data: bytes = REAL) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != STATEMENT}


def signed(files: dict[str, bytes]) -> bytes:
    """These members as a stranger seals them."""
    return pack(files, sign(files, {}, STRANGER))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, compress_type=method)
    return out.getvalue()


def checked(paths: Iterable[Path]) -> tuple[list[str], float]:
    """What the command says of each bundle, and the largest resident size of the process that checked them all."""
    program = (
        "import re, sys\nfrom pathlib import Path\nfrom unterbau.cli import main\n"
        "for path in sys.argv[1:]:\n"
        "    sys.argv = ['unterbau', 'evidence', 'check', path]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert end.code == 2, (path, end.code)\n"
        "    print('\\0', file=sys.stderr)\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    argv = [sys.executable, "-c", program, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stderr.split("\0")[:-1], float(done.stdout.split()[-1])


BOMBS: dict[str, Callable[[], bytes]] = {
    "90 MB of lists": lambda: b"[" + b"[]," * 30_000_000 + b"[]]",
    "lists": lambda: b"[" + b"[]," * 20_000_000 + b"[]]",
    "strings": lambda: b"[" + b'"",' * 20_000_000 + b'""]',
    "escapes": lambda: b'["' + b'\\"' * 20_000_000 + b'",' + b"{}," * 4_000_000 + b"{}]",
    "deep": lambda: b"[" * 30_000_000 + b"]" * 30_000_000,
    "zeros": lambda: bytes(limits.LARGEST + 1),
    "all that is allowed": lambda: b"[" + b'{"a":0},' * 590_000 + b'"' + b"x" * 55 * 2**20 + b'"]',
}


@pytest.mark.thorough
def test_a_strangers_bombs_are_refused_in_less_than_512_mb(tmp_path: Path) -> None:
    """One process checks all of them: its peak is that of the worst."""
    paths = [tmp_path / f"{name}.unterbau" for name in BOMBS]
    for path, bomb in zip(paths, BOMBS.values(), strict=True):
        path.write_bytes(signed({**members(), "journal.json": bomb()}))
    said, peak = checked(paths)
    told = {"90 MB of lists": "larger than", "zeros": "larger than", "all that is allowed": "do not fit"}
    assert [n for n, text in zip(BOMBS, said, strict=True) if told.get(n, "more than 1200000 values") not in text] == []
    assert peak < 512


@pytest.mark.thorough
def test_a_bomb_inside_the_statement_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = json.loads(sign(members(), {"x": [[] for _ in range(600_000)]}, STRANGER))
    with pytest.raises(BundleError, match="more than 500000 values"):
        open_bundle(pack(members(), json.dumps(made).encode()))


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.unterbau"
    with path.open("wb") as out:
        out.truncate(limits.LARGEST + 1)
    with pytest.raises(BundleError, match="larger than"):
        read_file(path)


@pytest.mark.thorough
def test_many_members_are_refused_by_the_directorys_own_count() -> None:
    for count in (101, 20_000):
        many = zipped({f"m{n}.json": b"{}" for n in range(count)})
        with pytest.raises(BundleError, match="more than 100 members"):
            open_bundle(many)
    liar = bytearray(many)
    liar[-14:-10] = bytes([5, 0, 5, 0])  # five of them, it says, in a directory of a MiB
    with pytest.raises(BundleError, match="more than 100 members"):
        open_bundle(bytes(liar))


def test_a_second_directory_beside_the_one_at_the_end_is_refused() -> None:
    real = bytearray(REAL)
    real[-22 - 20 : -22 - 16] = b"PK\6\7"
    with pytest.raises(BundleError, match="no member"):
        open_bundle(bytes(real))


def test_a_member_that_is_larger_than_it_states_is_refused() -> None:
    files = members()
    data = bytearray(zipped({**files, STATEMENT: sign(files, {}, STRANGER)}, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        stated = archive.getinfo("journal.json").file_size
    for at in [i for i in range(len(data)) if data[i : i + 4] == stated.to_bytes(4, "little")]:
        data[at : at + 4] = (stated // 2).to_bytes(4, "little")
    with pytest.raises(BundleError):
        open_bundle(bytes(data))


@pytest.mark.thorough
def test_a_compression_without_a_bound_is_refused() -> None:
    files = members()
    data = zipped({**files, STATEMENT: sign(files, {}, STRANGER)}, zipfile.ZIP_LZMA)
    with pytest.raises(BundleError, match="compressed in a way"):
        open_bundle(data)


@pytest.mark.parametrize("depth", [100, 101])
def test_json_may_be_nested_a_hundred_deep(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    data = signed({"a.json": b'{"\\"[[":["]"]}', "journal.json": nested})
    if depth == 100:
        assert open_bundle(data).members["journal.json"] == nested
    else:
        with pytest.raises(BundleError, match="nested deeper than 100"):
            open_bundle(data)


def _pieces(step: int) -> Iterator[tuple[bytes, int]]:
    texts: list[Any] = [["a,b", "[[", '"', "\\", '\\"', {"k\\": "v{"}, "\\\\" * 9], "x" * 50, ["\\" * 7, {"": [1, 2]}]]
    for text in texts:
        data = json.dumps(text).encode()
        yield data, data.count(b'"') + step


@pytest.mark.parametrize("step", range(1, 40))
def test_strings_are_told_from_structure_wherever_a_piece_ends(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure works piece by piece: no piece's end may turn the inside of a string into structure."""
    monkeypatch.setattr(nesting, "_STEP", step)
    for data, _ in _pieces(step):
        bare = b"".join(nesting._without_strings(data))
        assert bare == nesting._STRINGS.sub(b"", data)


@pytest.mark.thorough
def test_who_trusts_the_signer_may_open_more(monkeypatch: pytest.MonkeyPatch) -> None:
    data = signed(members())
    monkeypatch.setattr(limits, "VALUES", 1000)
    with pytest.raises(BundleError, match="more than 1000 values") as caught:
        open_bundle(data)
    assert "--key" in caught.value.remedy
    assert open_bundle(data, trusted_key=STRANGER.public_key.keyid).trusted


def test_a_signature_by_nobody_is_refused() -> None:
    """Everything fits but the signature: it is another's over the same bytes, under this key's id."""
    files = members()
    made, others = json.loads(sign(files, {}, STRANGER)), json.loads(sign(files, {}, CryptoSigner.generate_ed25519()))
    made["envelope"]["signatures"][0]["sig"] = others["envelope"]["signatures"][0]["sig"]
    with pytest.raises(BundleError, match="the signature does not fit"):
        open_bundle(pack(files, json.dumps(made).encode()))
    made["envelope"]["signatures"] = []
    with pytest.raises(BundleError, match="the signature does not fit"):
        open_bundle(pack(files, json.dumps(made).encode()))


def test_a_statement_that_names_a_member_twice_is_refused() -> None:
    files = members()
    made = json.loads(sign(files, {}, STRANGER))
    payload = json.loads(base64.b64decode(made["envelope"]["payload"]))
    payload["subject"].append({"name": "journal.json", "digest": {"sha256": "0" * 64}})
    from securesystemslib.dsse import Envelope

    from unterbau.evidence.core import PAYLOAD_TYPE

    envelope = Envelope(json.dumps(payload).encode(), PAYLOAD_TYPE, {})
    envelope.sign(STRANGER)
    made["envelope"] = envelope.to_dict()
    with pytest.raises(BundleError, match="no in-toto statement"):
        open_bundle(pack(files, json.dumps(made).encode()))


@pytest.mark.thorough
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("field", ["catalog_digest", "certificate_sha256"])
def test_another_catalog_or_certificate_at_the_verification_is_not_shown(side: str, field: str) -> None:
    whole = evidence.check(REAL).bundle
    seen = getattr(whole.verification, side)
    other = seen.model_copy(update={"identity": seen.identity.model_copy(update={field: "sha256:other"})})
    verification = whole.verification.model_copy(update={side: other})
    found = evidence.check(evidence.seal(whole.model_copy(update={"verification": verification}), STRANGER))
    (told,) = [v for v in found.verdicts if v.claim.id == f"coverage {side} {field}"]
    assert told.outcome is Outcome.NOT_SHOWN
    assert "sha256:other" in told.reason


@pytest.mark.thorough
def test_the_checker_adds_what_was_not_tested_itself(tmp_path: Path) -> None:
    whole = evidence.check(REAL).bundle
    context = whole.context.model_copy(update={"not_tested": ("The weather.",)})
    data = evidence.seal(whole.model_copy(update={"context": context}), STRANGER)
    assert evidence.check(data).not_tested == (*NOT_TESTED, "The weather.")
    path, report = tmp_path / "b.unterbau", tmp_path / "r.html"
    path.write_bytes(data)
    done = CliRunner().invoke(cli, ["evidence", "check", str(path), "--report", str(report)])
    for line in map(str, NOT_TESTED):
        assert line in " ".join(done.output.split())
        assert line in unescape(report.read_text(encoding="utf-8"))


@pytest.mark.thorough
def test_a_bundle_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = zipfile.ZipFile.open

    def counted(self: zipfile.ZipFile, name: Any, *more: Any, **words: Any) -> Any:
        read.append(getattr(name, "filename", name))
        return real(self, name, *more, **words)

    monkeypatch.setattr(zipfile.ZipFile, "open", counted)
    done = CliRunner().invoke(cli, ["evidence", "check", str(FIRST), "--report", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    assert sorted(read) == sorted([*members(), STATEMENT])
