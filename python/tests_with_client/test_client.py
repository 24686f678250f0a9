"""Against the real client: run with a Python that has shotgun_api3."""

import datetime
import http.server
import io
import json
import os
import sys
import time
import unittest

# Before the client is imported, which asks once: a zone with summer time.
os.environ["TZ"] = "Europe/Berlin"
time.tzset()

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import shotgun_api3
except ImportError:
    raise SystemExit(
        "%s has no shotgun_api3: `cargo xtask test` provides one that has" % sys.executable
    )

import serving  # noqa: E402
from slated_worker import cause, clients, events  # noqa: E402

ROW = {
    "id": 7,
    "type": "EventLogEntry",
    "event_type": "Shotgun_Task_Change",
    "attribute_name": "sg_status_list",
    "created_at": "2026-07-01T12:00:00Z",
    "session_uuid": None,
    "user": {"type": "HumanUser", "id": 1, "name": "A &lt; B"},
    "description": "a &lt;b> c",
    "meta": {
        "old": "2026-01-01T23:59:59Z",
        "list": ["2026-03-29T01:30:00Z", ["2026-03-29T00:59:59Z"], {}, [], "", 0, None],
        "text": "&lt;",
        "wrong": ["2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z"],
        "not": ["2026-01-01T00:00:00.5Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:0Z\n"],
        "digits": "\u0662026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z": True,
        "twenty": "x" * 20,
        "number": 1.10,
    },
}


class Dates(unittest.TestCase):
    def both(self, row):
        text = json.dumps(row)
        client = shotgun_api3.Shotgun("https://s.example", "s", "k", connect=False)
        theirs = client._parse_records([client._transform_inbound(json.loads(text))])[0]
        ours = events.Dates(shotgun_api3).convert(json.loads(text), text.encode("utf-8"))
        return ours, theirs

    def check(self, row):
        ours, theirs = self.both(row)
        self.assertEqual(repr(ours), repr(theirs))
        self.assertEqual(ours, theirs)
        return ours

    def test_an_event_is_the_clients_own(self):
        event = self.check(ROW)
        self.assertIs(event["created_at"].tzinfo, shotgun_api3.sg_timezone.local)
        self.assertEqual(event["created_at"].hour, 14)
        self.assertIsInstance(event["meta"]["list"][1][0], datetime.datetime)

    def test_every_half_hour_of_a_year_in_one_worker(self):
        client = shotgun_api3.Shotgun("https://s.example", "s", "k", connect=False)
        dates = events.Dates(shotgun_api3)
        start = datetime.datetime(2026, 1, 1)
        for half in range(2 * 24 * 365):
            moment = start + datetime.timedelta(minutes=30 * half)
            if (moment.month, moment.day) == (10, 25):
                continue  # the end of summer time: the client's own answer is not fixed there
            for second in (moment, moment + datetime.timedelta(seconds=59)):
                text = second.strftime("%Y-%m-%dT%H:%M:%SZ")
                ours = dates.convert({"meta": {"at": text}})["meta"]["at"]
                theirs = client._transform_inbound(text)
                self.assertEqual((ours.isoformat(), ours), (theirs.isoformat(), theirs))


class Server(serving.Serving):
    """A site that answers everything in one way."""

    def __init__(self, status, body=b"{}", kind="application/json", cut=0):
        self.body, self.kind = body, kind
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                self.do_POST()

            def do_POST(self):
                self.send_response(status)
                self.send_header("content-type", site.kind)
                self.send_header("content-length", str(len(site.body) + cut))
                self.end_headers()
                self.wfile.write(site.body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        super(Server, self).__init__(Handler)


class Causes(unittest.TestCase):
    def cause(self, url, site=None, retries=1):
        opener = clients.Clients(shotgun_api3, {"url": url})
        client = opener.open("s", "k")
        client.MAX_ATTEMPTS = retries
        client.config.max_rpc_attempts = 1
        try:
            client.find_one("Shot", [])
        except Exception as error:
            return cause.classify(error, site or url)
        self.fail("it answered")

    def test_a_site_that_cannot_be_reached(self):
        self.assertEqual(self.cause("http://127.0.0.1:1"), "site")
        self.assertEqual(self.cause("http://no-such-host.invalid"), "site")

    def test_another_site_that_cannot_be_reached(self):
        self.assertEqual(self.cause("http://127.0.0.1:1", "https://studio.example"), "transient")

    def test_a_site_that_answers_with_5xx(self):
        for status in (500, 502, 503):
            with Server(status) as server:
                self.assertEqual(self.cause(server.url), "site", status)

    def test_half_an_answer(self):
        with Server(200, b'{"resu', cut=100) as server:
            self.assertEqual(self.cause(server.url), "site")
        with Server(200, b'{"resu') as server:
            self.assertEqual(self.cause(server.url), "site")

    def test_a_gateway_that_answers_with_a_page(self):
        with Server(200, b"<html>Down for maintenance</html>", kind="text/html") as server:
            self.assertEqual(self.cause(server.url), "site")
        with Server(200, b"", kind="text/html") as server:
            self.assertEqual(self.cause(server.url), "site")

    def test_a_gateways_page_after_a_good_start(self):
        info = json.dumps({"version": [8, 89, 0]}).encode()
        with Server(200, info) as server:
            client = clients.Clients(shotgun_api3, {"url": server.url}).open("s", "k")
            client.server_caps
            server.body, server.kind = b"<html>Down</html>", "text/html"
            try:
                client.find_one("Shot", [])
            except Exception as error:
                self.assertEqual(cause.classify(error, server.url), "site", repr(error))
            else:
                self.fail("it answered")

    def upload(self, url, method, *args):
        client = clients.Clients(shotgun_api3, {"url": url}).open("s", "k")
        client.MAX_ATTEMPTS, client.BACKOFF = 1, 0
        try:
            getattr(client, method)(*args)
        except Exception as error:
            return cause.classify(error, url)
        self.fail("it was taken")

    def test_a_file_sent_to_a_site_that_is_down(self):
        # The client swallows what happened and says that it tried often enough.
        nowhere = "http://127.0.0.1:1"
        self.assertEqual(self.upload(nowhere, "_send_form", nowhere, {}), "site")
        with Server(503) as server:
            self.assertEqual(self.upload(server.url, "_send_form", server.url, {}), "site")

    def test_a_file_sent_to_a_store_that_is_down_is_not_the_sites(self):
        for url in ("http://127.0.0.1:1", None):
            with Server(503) as store:
                args = (io.BytesIO(b"a"), "text/plain", 1, url or store.url)
                told = self.upload("http://127.0.0.1:2", "_upload_data_to_storage", *args)
                self.assertEqual(told, "transient", url)
        with Server(403) as store:
            args = (io.BytesIO(b"a"), "text/plain", 1, store.url)
            self.assertIsNone(self.upload("http://127.0.0.1:2", "_upload_data_to_storage", *args))

    def test_a_site_that_refuses_is_not_down(self):
        fault = json.dumps({"exception": True, "message": "no", "error_code": 102}).encode()
        with Server(200, fault) as server:
            self.assertIsNone(self.cause(server.url))
        with Server(404) as server:
            self.assertIsNone(self.cause(server.url))

    def test_a_site_that_says_it_is_too_busy(self):
        fault = {"exception": True, "message": "too busy to reply", "error_code": 1}
        with Server(200, json.dumps(fault).encode()) as server:
            self.assertEqual(self.cause(server.url), "site")


class Opening(unittest.TestCase):
    def test_a_client_with_a_proxy(self):
        site = {"url": "https://s.example", "proxy": "http://u:pass@proxy:3128"}
        client = clients.Clients(shotgun_api3, site).open("s", "k")
        self.assertEqual(client.config.proxy_server, "proxy")
        self.assertEqual(client.config.proxy_port, 3128)
        self.assertEqual((client.config.proxy_user, client.config.proxy_pass), ("u", "pass"))

    def test_none_and_none(self):
        client = clients.Clients(shotgun_api3, {"url": "http://127.0.0.1:1"}).open(None, None)
        self.assertIsInstance(client, shotgun_api3.Shotgun)
        for call in (lambda: client.find("Shot", []), client.info, lambda: client.upload("Shot", 1, __file__)):
            with self.assertRaisesRegex(RuntimeError, "lend_key"):
                call()

    def test_one_of_name_and_key_is_the_plugins_mistake(self):
        opener = clients.Clients(shotgun_api3, {"url": "https://s.example"})
        with self.assertRaises(ValueError):
            opener.open("s", None)
        with self.assertRaises(ValueError):
            opener.open(None, "k")


if __name__ == "__main__":
    unittest.main()
