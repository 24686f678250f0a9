"""A dry run against the real client: nothing it can do is left unclassed, and nothing writes."""

import http.server
import importlib
import inspect
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import shotgun_api3
except ImportError:
    raise SystemExit(
        "%s has no shotgun_api3: `cargo xtask test` provides one that has" % sys.executable
    )

import serving  # noqa: E402
from slated_worker import dry  # noqa: E402


class Channel(object):
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


class Site(serving.Serving):
    """A site that remembers what it was asked, and answers everything."""

    def __init__(self):
        self.asked = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    site.asked.append(json.loads(body.decode("utf-8"))["method_name"])
                except (ValueError, KeyError):
                    site.asked.append(self.path)
                results = {"version": [8, 89, 0], "entities": [], "paging_info": PAGING}
                answer = json.dumps({"results": results}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST

            def log_message(self, *_):
                pass

        super(Site, self).__init__(Handler)


PAGING = {"has_next_page": False, "current_page": 1, "entity_count": 0, "page_count": 1}
NOTE = {"type": "Note", "id": 3}
USER = {"type": "HumanUser", "id": 4}

# A call of every method that writes.
WRITES = {
    "batch": ([{"request_type": "create", "entity_type": "Note", "data": {"subject": "x"}}],),
    "create": ("Note", {"subject": "x"}),
    "delete": ("Note", 3),
    "follow": (USER, NOTE),
    "revive": ("Note", 3),
    "schema_field_create": ("Shot", "text", "Turned Over"),
    "schema_field_delete": ("Shot", "sg_x"),
    "schema_field_update": ("Shot", "sg_x", {"name": "X"}),
    "share_thumbnail": ([NOTE], __file__),
    "unfollow": (USER, NOTE),
    "update": ("Note", 3, {"subject": "x"}),
    "update_project_last_accessed": ({"type": "Project", "id": 1}, USER),
    "upload": ("Note", 3, __file__, "attachments"),
    "upload_filmstrip_thumbnail": ("Version", 3, __file__),
    "upload_thumbnail": ("Version", 3, __file__),
    "user_subscriptions_create": ([{"email": "a@b"}],),
    "work_schedule_update": ("2026-01-01", True),
}


def public():
    cls = shotgun_api3.Shotgun
    names = (n for n in dir(cls) if not n.startswith("_"))
    return {name for name in names if inspect.isroutine(getattr(cls, name))}


class Classed(unittest.TestCase):
    def test_every_method_of_the_client_is_classed_once(self):
        lists = [dry.READING, dry.HARMLESS, set(dry.WRITING)]
        self.assertEqual(public() - set().union(*lists), set(), "not classed yet")
        self.assertEqual(sum(map(len, lists)), len(set().union(*lists)), "classed twice")

    def test_what_is_tried_here_is_all_that_writes(self):
        self.assertEqual(set(WRITES), set(dry.WRITING))


class Sealed(unittest.TestCase):
    def setUp(self):
        self.channel = Channel()
        # A copy: other tests use the client itself.
        self.kept = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "shotgun_api3"}
        for name in self.kept:
            del sys.modules[name]
        self.addCleanup(self.restore)
        self.meta = list(sys.meta_path)
        self.client = importlib.import_module("shotgun_api3")
        dry.seal(self.client, dry.Ledger(self.channel, lambda: None))

    def restore(self):
        sys.meta_path[:] = self.meta
        for name in [n for n in sys.modules if n.split(".")[0] == "shotgun_api3"]:
            del sys.modules[name]
        sys.modules.update(self.kept)

    def test_no_write_reaches_the_site(self):
        with Site() as site:
            sg = self.client.Shotgun(site.url, "s", "k")
            answers = {name: getattr(sg, name)(*args) for name, args in WRITES.items()}
            self.assertEqual(set(site.asked), {"info"})
            self.assertEqual(len(self.channel.sent), len(WRITES))
            self.assertEqual(answers["update"], {"type": "Note", "id": 3, "subject": "x"})
            self.assertEqual(answers["schema_field_create"], "sg_turned_over")
            self.assertEqual(answers["batch"][0]["type"], "Note")

    def test_the_ways_below_the_methods_are_shut(self):
        with Site() as site:
            sg = self.client.Shotgun(site.url, "s", "k")
            del site.asked[:]
            for name in ("create", "update", "batch", "anything_new"):
                with self.assertRaises(dry.DryRun):
                    sg._call_rpc(name, {})
            tried = 0
            for name in dry.SENDING:
                if hasattr(sg, name):
                    tried += 1
                    with self.assertRaises(dry.DryRun):
                        getattr(sg, name)("x")
            self.assertGreater(tried, 5)
            self.assertEqual(site.asked, [])

    def test_what_reads_still_reads(self):
        with Site() as site:
            sg = self.client.Shotgun(site.url, "s", "k")
            self.assertEqual(sg.find("Shot", []), [])
            self.assertIsNone(sg.find_one("Shot", []))
            for name, args in (
                ("summarize", ("Shot", [], [{"field": "id", "type": "count"}])),
                ("schema_read", ()),
                ("schema_field_read", ("Shot",)),
                ("followers", (NOTE,)),
                ("note_thread_read", (3,)),
                ("text_search", ("x", {"Shot": []})),
                ("activity_stream_read", ("Shot", 1)),
                ("nav_expand", ("/",)),
                ("preferences_read", ()),
                ("work_schedule_read", ("2026-01-01", "2026-01-02")),
            ):
                try:
                    getattr(sg, name)(*args)
                except dry.DryRun as error:
                    self.fail("%s: %s" % (name, error))
                except Exception:
                    pass  # the answer is none that it could read; it was asked for
            self.assertEqual(self.channel.sent, [])
            self.assertIn("summarize", site.asked)

    def test_without_credentials_a_write_fails_as_it_would(self):
        from slated_worker import clients

        sg = clients.Clients(self.client, {"url": "http://127.0.0.1:1"}).open(None, None)
        with self.assertRaisesRegex(RuntimeError, "lend_key"):
            sg.create("Note", {})
        self.assertEqual(self.channel.sent, [])


if __name__ == "__main__":
    unittest.main()
