"""The servers that a Redis or Valkey URL names: one, one that Sentinels watch over, or a Cluster.

All that is asked of them is the run of a script: its keys tell a Cluster where, and one request carries many.

Facts behind what may look odd here:

1. redis-py's own patience is 57 s with a server that hangs, and 3 s with one that refuses (measured).  Here
   a socket waits half a second, and nothing is tried twice: whoever reports tries again anyhow.
2. One client is borrowed for one call, with a connection for scripts and perhaps one for what is rare.  So a
   thousand readers queue up in their own process, and a client on which something went wrong is closed: the
   next asks Sentinels and Cluster anew.
3. Subscriptions are made on connections of their own, not by redis-py's ``PubSub``: that connects again
   without a word, and what was published meanwhile would be missed.
4. RESP2: what is asked here needs no newer protocol, and redis-py 8 would ask for 3.
5. Scripts are sent on a connection, not by redis-py's pipelines, which take longer than all the rest.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager, suppress
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from headway.core.errors import InvalidValue, MissingPackage, StoreRefused, StoreUnavailable
from headway.stores.connections import TIMEOUT, Connections, split_options, without_secrets

try:
    import redis
    from redis import exceptions
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode, RedisCluster
    from redis.connection import ConnectionPool, parse_url
    from redis.retry import Retry
    from redis.sentinel import Sentinel
except ImportError as error:
    raise MissingPackage("redis", "redis") from error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

COMMANDS = (
    "+@connection +@scripting +@pubsub +cluster|slots +cluster|shards +command +time +info +del "
    "+hdel +hget +hlen +hmget +hset +hvals +lrange +ltrim +pexpireat +rpush "
    "+wait +zadd +zrange +zrangebyscore +zrem +zrevrangebyscore"
)
"""What the scripts and the driver use of a server."""
Unheard = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""What a client or a line raises when it does not work."""
PREFIX = "headway"
"""What all keys and channels begin with where the URL says nothing else."""
SENTINEL_PORT = 26379
PORT = 6379
_OURS = ("prefix", "replicas", "sentinel_username", "sentinel_password")
COPYING = 400
"""Milliseconds within which replicas must have what they are waited for: less than a socket's patience."""
_FORMS = {
    "": "redis://user:password@host:6379/0",
    "cluster": "redis+cluster://user:password@host1:6379,host2:6379",
    "sentinel": "redis+sentinel://user:password@host1:26379,host2:26379/service/0",
}


class Script:
    """A script in Lua, known to a server by its hash.

    Args:
        names: The files that it is made of, in order.
    """

    def __init__(self, *names: str) -> None:
        folder = files("headway.stores") / "lua"
        self.text = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        self.hash = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Call(NamedTuple):
    """One run of a script; what it is told is packed."""

    script: Script
    keys: Sequence[str]
    told: bytes

    @property
    def command(self) -> tuple[Any, ...]:
        """As the server wants it."""
        return ("EVALSHA", self.script.hash, len(self.keys), *self.keys, self.told)


class Servers:
    """What a URL names.

    Attributes:
        shown: The URL without secrets.
        deployment: ``""``, ``"cluster"`` or ``"sentinel"``.
        prefix: What all keys and channels begin with.
        replicas: How many must have an end or a wish to cancel before it counts as written.

    Raises:
        InvalidValue: The URL says something that is not understood.
    """

    def __init__(self, url: str) -> None:
        self.shown = without_secrets(url)
        rest, ours = split_options(url, _OURS)
        scheme, _, place = rest.partition("://")
        engine, _, self.deployment = scheme.partition("+")
        self.prefix = ours.get("prefix", PREFIX)
        if not self.prefix or set(self.prefix) & set("{} \n"):
            raise InvalidValue(
                "url", self.shown, "a prefix has at least one character, no space and no brace"
            )
        self.replicas = self._read_replicas(ours.get("replicas", "0"))
        self._hosts, self._service, one = self._addresses(engine.replace("valkey", "redis"), place)
        self._settings = self._read_settings(one)
        self._sentinel_settings = {
            name.removeprefix("sentinel_"): value
            for name, value in ours.items()
            if name.startswith("sentinel_")
        }
        self._secrets = [
            secret for secret in (self._settings.get("password"), ours.get("sentinel_password")) if secret
        ]
        self._connections = Connections(self.connect, self.shown)

    @property
    def clustered(self) -> bool:
        """Whether keys lie on several servers."""
        return self.deployment == "cluster"

    def run(self, calls: Sequence[Call], *, final: bool = False) -> list[Any]:
        """What each script answers: one round trip, in a Cluster one for each server.

        Args:
            calls: The scripts to run.
            final: Whether something is decided that must outlive the server, so that replicas are waited for.

        Raises:
            StoreUnavailable: A server did not answer, said no, or has too few replicas that keep up.
        """
        with self._reached() as client:
            if final and self.replicas:
                return client.run_copied(calls, self.replicas, f"{self.prefix}:copied")
            return client.run(calls)

    def are_at_hand(self) -> bool:
        """Whether there is a connection that nobody uses, to the one server."""
        return self.deployment == "" and self._connections.has_idle()

    def connect(self) -> Client:
        """A client of its own, not yet connected but where a Cluster's or Sentinels' map is needed."""
        return Client(self._driver(), clustered=self.clustered)

    def facts(self) -> dict[str, dict[str, Any]]:
        """What each server says of itself (``INFO``), by its address.

        Raises:
            StoreUnavailable: One did not answer, or said no.
        """
        with self._reached() as client:
            return client.facts()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._connections.close()

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """What a reader is told of a driver's error."""
        reason = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        said = f"{type(error).__name__} {reason}"
        refusal, passing = self._refusal(said), _advice(_PASSING, said)
        kind = StoreRefused if refusal else StoreUnavailable
        return kind(self.shown, reason.rstrip(".?"), refusal or passing)

    def look_for_plain_text(self) -> None:
        """Where encryption was asked for, look whether the port answers without it.

        A server that speaks no TLS waits for the end of a line and says nothing.

        Raises:
            StoreRefused: It does.
        """
        settings = {name: value for name, value in self._settings.items() if not name.startswith("ssl_")}
        if settings.pop("connection_class", None) is None:
            return
        settings["host"], settings["port"] = self._hosts[0]
        if _answers(settings):
            raise StoreRefused(self.shown, "its port speaks no TLS", _PLAIN)

    @contextmanager
    def _reached(self) -> Iterator[Client]:
        try:
            with self._connections.borrow() as client:
                yield client
        except Unheard as error:
            raise self.unavailable(error) from error

    def _refusal(self, said: str) -> str:
        """What to change where a server will say the same the next time."""
        if "NOPERM" in said or "NoPermission" in said:
            return f"Its user needs: {access_rule(self.prefix)}"
        return _advice(_REFUSALS, said)

    def _addresses(self, scheme: str, place: str) -> tuple[list[tuple[str, int]], str, str]:
        """The hosts, the service that Sentinels watch over, and the URL as if there were one host."""
        parts = urlsplit(f"{scheme}://{place}")
        users, at, hosts = parts.netloc.rpartition("@")
        port = SENTINEL_PORT if self.deployment == "sentinel" else PORT
        addresses = [self._address(host, port) for host in (hosts or "localhost").split(",")]
        path, service = parts.path, ""
        if self.deployment == "sentinel":
            service, _, database = path.strip("/").partition("/")
            path = f"/{database}"
        if (
            (self.deployment == "" and len(addresses) > 1)
            or (self.deployment == "sentinel" and not service)
            or (self.deployment == "cluster" and path.strip("/") not in {"", "0"})
        ):
            raise self._wrong()
        first = hosts.split(",")[0]
        return (
            addresses,
            unquote(service),
            urlunsplit(parts._replace(netloc=f"{users}{at}{first}", path=path)),
        )

    def _address(self, text: str, port: int) -> tuple[str, int]:
        parts = urlsplit(f"//{text}")
        try:
            return parts.hostname or "localhost", parts.port or port
        except ValueError as error:
            raise self._wrong(str(error)) from error

    def _read_replicas(self, text: str) -> int:
        if not text.isascii() or not text.isdecimal():
            raise self._wrong(f"replicas is a number, not {text!r}")
        if int(text) and self.clustered:
            raise self._wrong("replicas are waited for with one server or Sentinels, not in a Cluster")
        return int(text)

    def _wrong(self, reason: str = "") -> InvalidValue:
        form = f"such a URL is {_FORMS.get(self.deployment, _FORMS[''])}, then options as ?prefix=headway"
        return InvalidValue("url", self.shown, f"{reason}; {form}" if reason else form)

    def _read_settings(self, url: str) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            **_UNSAID,
        }
        try:
            settings |= parse_url(url)
            path = urlsplit(url).path.strip("/")
            if path and not path.isdecimal():
                raise self._wrong(f"the database is a number, not {path!r}")
            ConnectionPool(**settings).make_connection()
        except (ValueError, TypeError) as error:
            if isinstance(error, InvalidValue):
                raise
            raise self._wrong(str(error)) from error
        return settings

    def _driver(self) -> Any:
        settings = dict(self._settings)
        if self.deployment == "":
            return redis.Redis(connection_pool=ConnectionPool(max_connections=2, **settings))
        encrypted = "connection_class" in settings
        for name in ("host", "port", "connection_class"):
            settings.pop(name, None)
        settings |= {"ssl": True} if encrypted else {}
        if self.clustered:
            settings.pop("db", None)
            settings |= _ONCE_MORE
            nodes = [ClusterNode(*address) for address in self._hosts]
            return RedisCluster(startup_nodes=nodes, **settings)
        sentinels = {name: settings[name] for name in _COMMON} | self._sentinel_settings
        watched = Sentinel(self._hosts, sentinel_kwargs=sentinels, **settings)
        return watched.master_for(self._service, redis_class=redis.Redis)


_UNSAID: dict[str, Any] = (
    {"driver_info": redis.driver_info.DriverInfo(name="", lib_version="")}
    if hasattr(redis, "driver_info")
    else {"lib_name": None, "lib_version": None}
)
"""That no server is told which driver asks: redis-py would look up its version for each connection, which
takes longer than all else that a forked child does to report; before 7.2 it called it otherwise."""
_ONCE_MORE: dict[str, Any] = (
    {"cluster_error_retry_attempts": 1}
    if int(redis.__version__.partition(".")[0]) < 6
    else {"retry": Retry(NoBackoff(), 1)}
)
"""How a Cluster's client asks again when a slot has moved; redis-py 5 calls it otherwise."""
_COMMON = ("socket_timeout", "socket_connect_timeout", "retry", "protocol", *_UNSAID)
"""What Sentinels are asked with, too."""


class Client:
    """One caller's way to the servers."""

    def __init__(self, driver: Any, *, clustered: bool) -> None:
        self._driver = driver
        self._clustered = clustered
        self._connection: Any = None

    def run_copied(self, calls: Sequence[Call], replicas: int, key: str) -> list[Any]:
        """The same as `run`, once that many replicas have what the scripts wrote.

        A connection is told how far replicas have got with its own last write only, and scripts that are run
        again may write nothing: so there is one more write, to that key.

        Raises:
            RedisError: Whatever the first of them met, or too few replicas have it.
        """
        answers = self.run(calls)
        pipeline = self._driver.pipeline(transaction=False)
        pipeline.hset(key, "at", 1)
        pipeline.wait(replicas, COPYING)
        copies = pipeline.execute()[-1]
        if copies < replicas:
            raise exceptions.RedisError(f"NOREPLICAS {copies} of {replicas} replicas have what was written")
        return answers

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """What each script answers; scripts that a server does not know are loaded, and run then.

        Raises:
            RedisError: Whatever the first of them met.
        """
        answers = self._sent(calls)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if unknown:
            for script in {calls[at].script for at in unknown}:
                self._driver.script_load(script.text)
            again = self._sent([calls[at] for at in unknown])
            for at, answer in zip(unknown, again, strict=True):
                answers[at] = answer
        for answer in answers:
            for one in answer if isinstance(answer, list) else [answer]:
                if isinstance(one, Exception):
                    raise one
        return answers

    def facts(self) -> dict[str, dict[str, Any]]:
        """What each server says of itself, by its address; the configuration where it may be asked."""
        said = {}
        for name, driver in self._drivers():
            info = driver.info()
            with suppress(exceptions.ResponseError):  # it may not be asked
                info |= driver.config_get("maxmemory-policy") | driver.config_get("save")
            said[name] = info
        return said

    def line_to(self, channel: str) -> tuple[str, Any]:
        """Which server rings a channel, and its connections."""
        if not self._clustered:
            return "", self._driver.connection_pool
        node = self._driver.get_node_from_key(channel)
        if node is None:
            raise exceptions.ClusterDownError("CLUSTERDOWN no server answers for some of the keys")
        return node.name, self._driver.get_redis_connection(node).connection_pool

    def sockets(self) -> Collection[int]:
        """The file descriptors of what is open."""
        pools = [driver.connection_pool for _, driver in self._drivers(connected=True)]
        connections = [
            one for pool in pools for one in (*pool._available_connections, *pool._in_use_connections)
        ]
        connections.append(self._connection)
        return [one._sock.fileno() for one in connections if getattr(one, "_sock", None) is not None]

    def close(self) -> None:
        """Take leave of the servers."""
        if self._connection is not None:
            self._connection.disconnect()
        self._driver.close()
        for _, driver in self._drivers(connected=True):
            driver.connection_pool.disconnect()

    def _drivers(self, *, connected: bool = False) -> Iterator[tuple[str, Any]]:
        if not self._clustered:
            yield "", self._driver
            return
        for node in list(self._driver.nodes_manager.nodes_cache.values()):
            if node.redis_connection is not None:
                yield node.name, node.redis_connection
            elif not connected:
                yield node.name, self._driver.get_redis_connection(node)

    def _sent(self, calls: Sequence[Call]) -> list[Any]:
        if self._clustered:
            pipeline = self._driver.pipeline()
            for call in calls:
                pipeline.execute_command(*call.command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers
        if self._connection is None:
            connection = self._driver.connection_pool.make_connection()
            connection.connect()
            self._connection = connection
        packed = self._connection.pack_commands([call.command for call in calls])
        self._connection.send_packed_command([b"".join(packed)])  # in pieces it is answered in pieces
        return [self._answer() for _ in calls]

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except exceptions.ResponseError as error:
            return error


class Line:
    """A connection on which one server rings channels.

    Attributes:
        heard_at: When it last said something, by the monotonic clock.
        asked_at: Since when an answer to a ping is waited for.
    """

    def __init__(self, pool: Any, *, sharded: bool) -> None:
        self._connection = pool.make_connection()
        self._letter = "S" if sharded else ""
        self._awaited = 0
        self.asked_at: float | None = None
        self._connection.connect()
        self.heard_at = time.monotonic()

    def fileno(self) -> int:
        """For a selector."""
        return int(self._connection._sock.fileno())

    def subscribe(self, channels: Collection[str]) -> None:
        """Have these rung, from when the server has said so."""
        self._ask(f"{self._letter}SUBSCRIBE", channels)

    def unsubscribe(self, channels: Collection[str]) -> None:
        """Have these rung no more."""
        self._ask(f"{self._letter}UNSUBSCRIBE", channels)

    def ping(self) -> None:
        """Ask whether the server is still there."""
        self._connection.send_command("PING", check_health=False)
        self.asked_at = time.monotonic()

    def settle(self) -> Iterator[str]:
        """Wait until all that was asked for is confirmed; what was rung meanwhile.

        Raises:
            RedisError: It was refused, or took too long.
        """
        deadline = time.monotonic() + TIMEOUT
        while self._awaited > 0:
            if not self._connection.can_read(timeout=max(0.0, deadline - time.monotonic())):
                raise exceptions.TimeoutError("Timeout waiting for a subscription")
            yield from self._heard()

    def rung(self) -> Iterator[str]:
        """What was rung since, without waiting.

        Raises:
            RedisError: The connection is gone, or the channel has moved to another server.
        """
        while self._connection.can_read(timeout=0):
            yield from self._heard()

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()

    def _ask(self, command: str, channels: Collection[str]) -> None:
        for channel in channels:  # in a Cluster those of one command must share a slot
            self._connection.send_command(command, channel, check_health=False)
            self._awaited += 1

    def _heard(self) -> Iterator[str]:
        said = self._connection.read_response()
        self.heard_at, self.asked_at = time.monotonic(), None
        kind, *rest = said if isinstance(said, list) else (said,)
        if kind in {b"message", b"smessage"}:
            yield rest[1].decode(errors="replace")
        elif kind in {b"subscribe", b"ssubscribe", b"unsubscribe", b"sunsubscribe"}:
            self._awaited -= 1
            if self._awaited < 0:
                raise exceptions.ConnectionError("its channels have moved to another server")


Refused = (exceptions.NoPermissionError, exceptions.ResponseError)
"""What a server raises that will say the same the next time."""


def access_rule(prefix: str) -> str:
    """What an access rule must grant to a user, in the words of ``ACL SETUSER``."""
    return f"~{prefix}:* &{prefix}:* {COMMANDS}"


def _answers(settings: dict[str, Any]) -> bool:
    """Whether a server says anything at all."""
    with closing(redis.Redis(connection_pool=ConnectionPool(max_connections=1, **settings))) as client:
        try:
            client.ping()
        except (exceptions.ResponseError, exceptions.AuthenticationError):
            return True
        except Unheard:
            return False
        return True


def _advice(table: Sequence[tuple[str, str]], said: str) -> str:
    return next((advice for sign, advice in table if sign.lower() in said.lower()), "")


_PLAIN = "Use redis://, or name the port that does"
_REFUSALS = (
    ("WRONGPASS", "Correct the user or the password in the URL"),
    ("invalid username-password", "Correct the user or the password in the URL"),
    ("NOAUTH", "Put the password into the URL: redis://:password@host"),
    ("without any password configured", "Leave the password out of the URL: this server asks for none"),
    ("Authentication required", "Put the password into the URL: redis://:password@host"),
    ("DB index is out of range", "Name a database that the server has: redis://host:6379/0"),
    ("WRONG_VERSION_NUMBER", f"The port speaks no TLS.  {_PLAIN}"),
    ("record layer failure", f"The port speaks no TLS.  {_PLAIN}"),
    ("CERTIFICATE_VERIFY_FAILED", "Name the authority that signed its certificate: ?ssl_ca_certs=/path"),
    ("READONLY", "It is a replica: name the primary, or use redis+sentinel://"),
    ("MOVED", "It is part of a Cluster: use redis+cluster://"),
    ("cluster mode is not enabled", "It is no Cluster: use redis://"),
    ("cluster support disabled", "It is no Cluster: use redis://"),
    ("unknown command", "headway needs scripts (EVALSHA), which this server or proxy does not have"),
)
"""What to do about what a server says again and again."""
_PASSING = (
    ("MASTERDOWN", "It is a replica that has lost its primary: name the primary, or use redis+sentinel://"),
    ("No master found", "No Sentinel knows a primary of that name: correct the service in the URL"),
    ("used memory > 'maxmemory'", "It is out of memory: raise its maxmemory, or free some"),
    ("MISCONF", "It cannot write its file: look at its log"),
    ("LOADING", "It has just started and reads its file"),
    ("CLUSTERDOWN", "Some of its slots have no server"),
    ("Connection closed by server", "If it speaks TLS, use rediss://"),
    ("Timeout connecting to server", "Correct host and port; a port without TLS is redis://"),
    ("NOREPLICAS", "Start its replicas, or ask for fewer: ?replicas=0"),
    ("Connection refused", "Start the server, or correct host and port"),
)
"""What to do about what may pass."""
