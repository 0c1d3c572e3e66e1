"""Links that you sign: whoever has one may view, or view and cancel, until it expires.

    links = Links(secret)
    progress = app(access=links)
    address = f"/progress/jobs/{id}?token={links.view(id)}"

A token names one job or one scope, what it allows, and when it expires.  It travels in the query for reading;
a cancel wants it as ``Authorization: Bearer …``, so that no link alone changes anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from headway.core import arguments
from headway.core.errors import InvalidValue, MissingPackage
from headway.web.access import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from headway.web.access import Action, Target, Verdict
    from headway.web.exchange import Request

SALT = "headway.link.1"
EXPIRES = 900.0
"""Seconds after which a link expires where nothing else is said."""
SHORTEST_SECRET = 16
LONGEST_TOKEN = 2_000
MOST_TOKENS = 100


class _Claim(msgspec.Struct, array_like=True, frozen=True):
    """What a token says."""

    id: str | None
    scope: str | None
    everything: bool
    cancel: bool
    owner: bool
    expires: float


class Links:
    """Signs links, and admits who has one.

    Args:
        secret: What they are signed with: at least 16 random characters, known to nobody else.  Several
            while you change it: the newest last; links signed with the others stay good.
        clock: Seconds since 1970.

    Raises:
        InvalidValue: A secret is too short.
        MissingPackage: itsdangerous is not installed.
    """

    def __init__(self, secret: str | Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        try:
            from itsdangerous import URLSafeSerializer
        except ImportError as error:
            raise MissingPackage("itsdangerous", "web") from error
        secrets = [secret] if isinstance(secret, str) else list(secret)
        if not secrets or any(len(one) < SHORTEST_SECRET for one in secrets):
            raise InvalidValue("secret", "…", f"a secret has at least {SHORTEST_SECRET} characters")
        self._signer = URLSafeSerializer(secrets, salt=SALT)
        self._clock = clock

    def view(self, id: str, *, cancel: bool = False, owner: bool = False, expires: float = EXPIRES) -> str:
        """A token for one job; it may be made before the job is.

        Args:
            id: The job.
            cancel: Whether it may be cancelled, too.
            owner: Whether all fields are shown, result and meta included.
            expires: Seconds from now.
        """
        return self._sign(_Claim(arguments.identifier(id), None, False, cancel, owner, expires))  # noqa: FBT003

    def scope(
        self, scope: str | None, *, cancel: bool = False, owner: bool = False, expires: float = EXPIRES
    ) -> str:
        """A token for all jobs of a scope, and to list them; None stands for every job there is."""
        return self._sign(_Claim(None, arguments.scope(scope), scope is None, cancel, owner, expires))

    def grant(self, request: Request, action: Action, job: Target) -> Verdict:
        """See `headway.web.access.Policy`."""
        for claim in self._claims(request, action):
            left = claim.expires - self._clock()
            if left > 0 and _covers(claim, action, job):
                return Grant(owner=claim.owner, cancel=claim.cancel, seconds=left)
        return None

    def _sign(self, claim: _Claim) -> str:
        expires = self._clock() + arguments.seconds(claim.expires, "expires")
        return self._signed([*msgspec.structs.astuple(claim)[:-1], round(expires, 3)])

    def _signed(self, value: list[Any]) -> str:
        token: Any = self._signer.dumps(value)
        return token.decode() if isinstance(token, bytes) else str(token)

    def _unsigned(self, token: str) -> Any:
        """What was signed; None where we did not sign it."""
        from itsdangerous import BadData

        try:
            return self._signer.loads(token)
        except BadData:
            return None

    def _claims(self, request: Request, action: Action) -> list[_Claim]:
        scheme, _, given = request.header("authorization").partition(" ")
        tokens = [given.strip()] if scheme.lower() == "bearer" else []
        if action != "cancel":
            tokens += request.given("token")[:MOST_TOKENS]
        return [claim for claim in map(self._claim, tokens) if claim is not None]

    def _claim(self, token: str) -> _Claim | None:
        if not token or len(token) > LONGEST_TOKEN:
            return None
        try:
            return msgspec.convert(self._unsigned(token), _Claim)
        except msgspec.ValidationError:
            return None


def _covers(claim: _Claim, action: Action, job: Target) -> bool:
    if action == "cancel" and not claim.cancel:
        return False
    if claim.everything:
        return True
    if claim.id is not None:
        return action != "list" and job.id == claim.id
    return job.scope == claim.scope
