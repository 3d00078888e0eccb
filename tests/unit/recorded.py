# SPDX-License-Identifier: Apache-2.0
"""What a real cloud answered to a census: the embedded cloud with the seeded tenant, recorded once, replayed by `LyingCloud`.

`python tests/unit/recorded.py CLOUD` records anew into tests/assets/answers.json: each GET and HEAD with its path below the
service's endpoint. The project's id is that of `lying_cloud`, addresses are `https://cloud.example`; nothing else is
changed. No answer to a census holds a secret.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from lying_cloud import PATHS, PROJECT, Asked, Told

ANSWERS = Path(__file__).parents[1] / "assets" / "answers.json"
Edit = Callable[[Asked, Told], Told | None]


def _key(service: str, method: str, path: str, query: str) -> str:
    return f"{service} {method} {path}?{urlencode(sorted(parse_qsl(query, keep_blank_values=True)))}"


@cache
def _answers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ANSWERS.read_text())
    return found


class Recorded:
    """A lie for a `LyingCloud`: the recorded answers, edited by `edit` where a test wants another (None: as recorded)."""

    def __init__(self, edit: Edit = lambda asked, told: None, like: Mapping[str, str] | None = None) -> None:
        """`like`: requests that are answered as another one was, both as they stand in the file."""
        self.answers: dict[str, Any] = dict(_answers())
        self.answers |= {new: self.answers[old] for new, old in (like or {}).items()}
        self.edit = edit

    def __call__(self, asked: Asked) -> Told | None:
        path, _, query = asked.target.partition("?")
        if path == "/info":  # Swift's, beside its endpoint
            return Told(200, {"swift": {}, "slo": {}, "symlink": {}, "versioned_writes": {}})
        for service, base in PATHS.items():
            if path.startswith(base) and (path != base or service == "object-store"):
                told = self._told(_key(service, asked.method, path.removeprefix(base), query))
                return None if told is None else self.edit(asked, told) or told
        return None

    def _told(self, key: str) -> Told | None:
        found = self.answers.get(key)
        return None if found is None else Told(found["status"], found["body"], found["headers"])


def record(name: str) -> dict[str, Any]:
    """The answers of that cloud to one census."""
    from datetime import UTC, datetime

    import requests

    from unterbau import wiring
    from unterbau.cloud.openstack import swift, transport
    from unterbau.switch import census

    seen: list[tuple[str, str, int, dict[str, str], bytes]] = []
    send, request = transport._Transport.send, swift.Swift.request

    def sent(self: Any, asked: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        told = send(self, asked, *arguments, **options)
        if asked.method in ("GET", "HEAD"):
            seen.append((asked.method, str(asked.url), told.status_code, dict(told.headers), told.content))
        return told

    def asked(self: Any, method: str, path: str = "", **options: Any) -> Any:
        query = urlencode(options.get("query") or {})
        url = f"{self._endpoint()}{path}" + (f"?{query}" if query else "")
        try:
            told = request(self, method, path, **options)
        except Exception:
            seen.append((method, url, 404, {}, b""))
            raise
        seen.append((method, url, told.status, dict(told.headers), told.data))
        return told

    transport._Transport.send, swift.Swift.request = sent, asked  # type: ignore[method-assign, assignment]
    cloud: Any = wiring.open_cloud(name)
    census.take(cloud, now=lambda: datetime.now(UTC))
    session = cloud._session
    ends = {s: session.api(s).endpoint().rstrip("/") for s in PATHS if s != "identity"}
    found: dict[str, Any] = {}
    for method, url, status, headers, data in seen:
        service = next((s for s, end in ends.items() if url.startswith(end)), "")
        if not service:
            continue
        parts = urlsplit(url)
        text = data.decode()
        for end in sorted(ends.values(), key=len, reverse=True):
            base = urlsplit(end)
            text = text.replace(f"{base.scheme}://{base.netloc}", "https://cloud.example")
        key = _key(service, method, parts.path.removeprefix(urlsplit(ends[service]).path), parts.query)
        text, key = (t.replace(session.project_id, PROJECT) for t in (text, key))
        dropped = {"connection", "transfer-encoding"} | ({"content-length"} if method == "GET" else set())
        kept = {k: v for k, v in headers.items() if service == "object-store" and k.lower() not in dropped}
        kept = {k: v.replace(session.project_id, PROJECT) for k, v in kept.items()}
        found[key] = {"status": status, "headers": kept, "body": json.loads(text) if text else None}
    return found


if __name__ == "__main__":
    ANSWERS.write_text(json.dumps(record(sys.argv[1]), indent=0, sort_keys=True) + "\n")
