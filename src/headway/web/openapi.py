"""The protocol, described once as OpenAPI 3.1."""

from __future__ import annotations

import json


def document() -> bytes:
    """The description as JSON."""
    return json.dumps(
        {"openapi": "3.1.0", "info": {"title": "headway", "version": "1"}, "paths": {}}
    ).encode()
