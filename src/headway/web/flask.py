"""The door for Flask.

progress = Headway(access=may_see)        # or Headway(app, access=may_see)
progress.init_app(app)                    # at /progress; url_prefix= and HEADWAY_URL_PREFIX say otherwise
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.core.errors import MissingPackage
from headway.web import wsgi
from headway.web.door import Door

try:
    import flask
except ImportError as error:
    raise MissingPackage("flask", "web") from error

if TYPE_CHECKING:
    from headway.client import Headway as Verbs
    from headway.stores.contract import Store
    from headway.web.access import Access

PREFIX = "/progress"
METHODS = ("GET", "POST", "OPTIONS")


class Headway:
    """Shows jobs in a Flask application.

    Your function is asked with Flask's ``request``, in its context.  ``before_request`` of the application
    runs as for any view.  ``HEADWAY_STORE`` and ``HEADWAY_URL_PREFIX`` of its configuration are used where
    nothing is passed.

    Args:
        app: The application; or `init_app` gets it later.
        access: Who may see what; see `headway.web.access`.
        store: Which store: its URL, or what `headway.connect` gave.
        url_prefix: Where it is mounted.
        **settings: See `headway.web.exchange.Settings`.

    Raises:
        AccessMissing: It was not said who may see what.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        access: Access | None = None,
        store: str | Store | Verbs | None = None,
        url_prefix: str | None = None,
        **settings: Any,
    ) -> None:
        self._access = access
        self._store = store
        self._prefix = url_prefix
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Mount it."""
        prefix = self._prefix or app.config.get("HEADWAY_URL_PREFIX", PREFIX)
        app.register_blueprint(self.blueprint(app.config.get("HEADWAY_STORE")), url_prefix=prefix)

    def blueprint(self, store: str | None = None) -> flask.Blueprint:
        """The same as a blueprint, to be registered by you."""
        carrier = wsgi.App(Door(self._access, self._store or store, self._settings))
        blueprint = flask.Blueprint("headway", __name__)

        @blueprint.route("/<path:path>", methods=METHODS, provide_automatic_options=False)
        def carry(path: str) -> flask.Response:
            return _carried(carrier, path)

        return blueprint


def _carried(carrier: wsgi.App, path: str) -> flask.Response:
    asked = flask.request
    environ = asked.environ
    request = wsgi.request_of(environ, asked)
    request.base = (asked.root_path + asked.path).removesuffix(path).rstrip("/")
    request.path = path.strip("/")
    answer = carrier.answer(request, environ)
    body: Any = answer.body
    if not isinstance(body, list):
        body = flask.stream_with_context(body)
    return flask.Response(body, answer.status, answer.headers)
