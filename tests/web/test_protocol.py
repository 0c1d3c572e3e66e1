"""The protocol without a door."""

import msgspec
import pytest

from headway.core import wire
from headway.core.snapshot import Snapshot
from headway.web import shapes
from headway.web.exchange import Request, Settings
from headway.web.frames import etag_of
from headway.web.protocol import Protocol, _form, _matches, _seconds_to_wait, _takes_gzip


def asked(**headers):
    return Request(
        method="POST", path="jobs/one/cancel", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "cross-site", "content_type": "application/json"}, False),
        ({"sec_fetch_site": "same-site", "content_type": "application/json"}, False),
        ({"origin": "https://app.example", "host": "app.example"}, True),
        ({"origin": "https://app.example:444", "host": "app.example"}, False),
        ({"origin": "https://partner.example", "host": "app.example"}, True),
        ({"origin": "null", "host": "app.example", "content_type": "application/json"}, False),
        ({"content_type": "application/json; charset=utf-8"}, True),
        ({"content_type": "text/plain"}, False),
        ({"authorization": "Bearer x"}, True),
        ({}, False),
    ],
)
def test_a_cancel_comes_from_a_page_of_ours_or_from_no_page(headers, own):
    protocol = Protocol(Settings(origins=("https://partner.example",)))
    assert protocol.is_own_page(asked(**headers)) is own


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ('WAIT="5"', 5),
        ("wait=10; x=y", 10),
        ("wait=99999999999", 30),
        ("wait=-1", 0),
        ("wait=1e9", 0),
        ("wait=٣", 0),
        ("wait", 0),
        ("", 0),
    ],
)
def test_waiting_is_read_as_rfc_7240_has_it(prefer, seconds):
    assert _seconds_to_wait(prefer) == seconds


@pytest.mark.parametrize(
    ("wanted", "same"),
    [
        ('W/"5"', True),
        ('"5"', True),
        ('"4", W/"5"', True),
        ("*", True),
        ('W/"5.stalled"', False),
        ("", False),
    ],
)
def test_etags_are_compared_weakly(wanted, same):
    assert _matches(wanted, etag_of(Snapshot(id="one", version=5))) is same


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "page"),
        ("application/json, text/html", "json"),
    ],
)
def test_browsers_get_a_page_and_programs_json(accept, form):
    assert _form(Request(method="GET", path="", headers={"accept": accept})) == form


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [("gzip", True), ("br;q=1.0, GZIP;q=0.5", True), ("gzip;q=0", False), ("x-gzip", False), ("", False)],
)
def test_files_are_compressed_for_who_says_so(accepted, takes):
    assert _takes_gzip(Request(method="GET", path="", headers={"accept-encoding": accepted})) is takes


def test_the_types_name_what_the_wire_writes():
    names = set(shapes.Job.__struct_fields__)
    required = {field.name for field in msgspec.structs.fields(shapes.Job) if field.required}
    assert set(wire.frame(Snapshot(id="one"), owner=True)) == names
    assert set(wire.frame(Snapshot(id="one"))) == required
    assert set(wire.waiting_frame("one")) == required
    msgspec.convert(wire.waiting_frame("one"), shapes.Job)
    msgspec.json.decode(wire.encode_frame(Snapshot(id="one"), owner=True), type=shapes.Job)
