"""Links that Django signs, with ``SECRET_KEY``; links signed with ``SECRET_KEY_FALLBACKS`` stay good.

HEADWAY = {"ACCESS": ["owner", "links"]}

address = reverse("headway:job", args=[id]) + "?token=" + Links().view(id)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.signing import BadSignature, Signer

from headway.web import links

if TYPE_CHECKING:
    from collections.abc import Callable


class Links(links.Links):
    """Signs links, and admits who has one; see `headway.web.links.Links`.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._own = Signer(salt=links.SALT)
        self._clock = clock

    def _signed(self, value: list[Any]) -> str:
        return self._own.sign_object(value)

    def _unsigned(self, token: str) -> Any:
        try:
            return self._own.unsign_object(token)
        except BadSignature:
            return None
