"""Frames in, answers out: what is shared, what is fresh, what stops what."""

import datetime
import json
import logging
import unittest

import support
from slated_worker import calls, clients, events, registrar, serve


class Zones(object):
    utc = datetime.timezone.utc
    local = datetime.timezone(datetime.timedelta(hours=2))


class Channel(object):
    """Plays frames and keeps answers."""

    def __init__(self, frames):
        self.frames = list(frames)
        self.answers = []

    def receive(self):
        # Through JSON, as on the wire.
        if not self.frames:
            return None
        text = json.dumps(self.frames.pop(0))
        self.line = text.encode("utf-8")
        return json.loads(text)

    def send_bytes(self, data):
        self.answers.extend(json.loads(line) for line in data.splitlines())


class Watch(object):
    orphaned = False

    def begin(self, timeout_ms):
        self.timeout = timeout_ms

    def end(self):
        pass

    def hung_up(self):
        pass


class Handler(object):
    seq = None


def event(seq, callbacks, turn=1, **fields):
    row = {"id": seq, "created_at": "2026-11-23T09:15:02Z", "session_uuid": "u-%d" % seq}
    row.update(fields)
    return {"type": "event", "seq": seq, "turn": turn, "callbacks": callbacks, "event": row}


class Serving(unittest.TestCase):
    def setUp(self):
        module = support.client_module()
        module.sg_timezone = Zones()
        self.dates = events.Dates(module)
        opener = clients.Clients(module, {"url": "https://s"})
        self.plugin = registrar.Plugin(logging.getLogger("plugin.p"), opener)
        self.reg = registrar.Registrar(self.plugin)

    def play(self, *frames, **options):
        channel = Channel(frames)
        self.watch = Watch()
        caller = calls.Caller(self.watch, options.get("session_uuid", True), "https://s")
        loop = serve._Frames(channel, self.watch, Handler(), self.plugin, caller, self.dates)
        self.assertEqual(loop.run(), serve.OK)
        return channel.answers

    def short(self, answers):
        return [
            (a["type"], a["seq"], a.get("n"), (a.get("error") or {}).get("type")) for a in answers
        ]

    def test_what_a_callback_is_given(self):
        given = []
        args = {"mine": True}

        def callback(*arguments):
            given.append(arguments)

        self.reg.registerCallback("s", "k", callback, args=args)
        self.play(event(7, [0]), event(8, [0]))
        (sg, logger, first, same), (sg2, logger2, second, same2) = given
        self.assertIs(sg, sg2)
        self.assertIs(sg, self.plugin.callbacks[0].sg)
        self.assertIs(same, args)
        self.assertIs(same2, args)
        self.assertEqual(logger.name, "plugin.p.callback")
        self.assertEqual((first["id"], second["id"]), (7, 8))
        self.assertEqual(first["created_at"].isoformat(), "2026-11-23T11:15:02+02:00")

    def test_compat_3_4_callbacks_share_an_event_and_events_share_nothing(self):
        seen = []

        def change(sg, logger, event, args):
            event["changed"] = True

        def look(sg, logger, event, args):
            seen.append((event["id"], event.get("changed")))

        self.reg.registerCallback("s", "k", change)
        self.reg.registerCallback("s", "k", look)
        self.play(event(1, [0, 1]), event(2, [1]))
        self.assertEqual(seen, [(1, True), (2, None)])

    def test_the_session_is_set_before_each_event_if_so_configured(self):
        seen = []

        def look(sg, logger, event, args):
            seen.append(sg.config.session_uuid)

        self.reg.registerCallback("s", "k", look)
        self.play(event(1, [0]), event(2, [0], session_uuid=None))
        self.play(event(3, [0]), session_uuid=False)
        self.assertEqual(seen, ["u-1", None, None])

    def test_every_callback_answers_for_itself(self):
        def fail(sg, logger, event, args):
            raise ValueError("x")

        def work(sg, logger, event, args):
            pass

        self.reg.registerCallback("s", "k", fail, stopOnError=False)
        self.reg.registerCallback("s", "k", work)
        answers = self.play(event(1, [0, 1]), event(2, [1]), event(3, []))
        self.assertEqual(
            self.short(answers),
            [
                ("result", 1, 0, "ValueError"),
                ("result", 1, 1, None),
                ("done", 1, None, None),
                ("result", 2, 1, None),
                ("done", 2, None, None),
                ("done", 3, None, None),
            ],
        )
        self.assertIs(answers[0]["stop"], False)

    def test_a_stop_drops_the_rest_of_the_frame_and_of_its_turn(self):
        def fail(sg, logger, event, args):
            if event["id"] == 1:
                raise ValueError("x")

        self.reg.registerCallback("s", "k", fail)
        frames = [event(1, [0, 0]), event(2, [0]), event(3, [0]), event(4, [0], turn=2)]
        answers = self.play(*frames)
        self.assertEqual(
            self.short(answers),
            [
                ("result", 1, 0, "ValueError"),
                ("done", 1, None, None),
                ("result", 4, 0, None),
                ("done", 4, None, None),
            ],
        )
        self.assertIs(answers[0]["stop"], True)

    def test_a_running_callback_knows_its_attempt_and_its_key(self):
        seen = []
        look = lambda *a: seen.append((self.reg.getAttempt(), self.reg.getIdempotencyKey()))
        self.reg.registerCallback("s", "k", look)
        self.reg.registerCallback("s", "k", look)
        first, again = event(1, [0, 1]), event(2, [1])
        first.update(attempt=1, key="/p/notes:7")
        again.update(attempt=2, key="/p/notes:7")
        self.play(first, again)
        one, other = "/p/notes:7:<lambda>", "/p/notes:7:<lambda>#2"
        self.assertEqual(seen, [(1, one), (1, other), (2, other)])
        self.assertEqual((self.reg.getAttempt(), self.reg.getIdempotencyKey()), (None, None))

    def test_a_plugin_can_tell_a_replay_and_a_dry_run(self):
        seen = []
        self.reg.registerCallback("s", "k", lambda *a: seen.append(self.reg.isReplay()))
        live, again = event(1, [0]), event(2, [0])
        again["replay"] = True
        self.play(live, again)
        self.assertEqual((seen, self.reg.isReplay()), ([False, True], False))
        dry = registrar.Plugin(logging.getLogger("plugin.p"), None, dry=True)
        self.assertEqual((self.reg.isDry(), registrar.Registrar(dry).isDry()), (False, True))

    def test_the_soft_limit_of_a_frame_is_each_calls(self):
        self.reg.registerCallback("s", "k", lambda *a: None)
        frame = event(1, [0])
        frame["timeout_ms"] = 1500
        self.play(frame)
        self.assertEqual(self.watch.timeout, 1500)

    def test_times_on_one_day_and_on_the_next(self):
        for text, wanted in (
            ("2026-11-23T09:15:02Z", "2026-11-23T11:15:02+02:00"),
            ("2026-11-23T09:15:59Z", "2026-11-23T11:15:59+02:00"),
            ("2026-11-23T23:59:59Z", "2026-11-24T01:59:59+02:00"),
        ):
            row = self.dates.convert({"meta": [text]})
            self.assertEqual(row["meta"][0].isoformat(), wanted)

    def test_a_glance_at_the_line_misses_nothing(self):
        time = "2026-11-23T09:15:02Z"
        for row in (
            {"created_at": time, "meta": {"new": "x", "n": 1}},
            {"created_at": time, "meta": {"new": time}},
            {"created_at": time, "meta": {time: [time, "Z"]}},
            {"created_at": None, "meta": {"new": time}},
            {"created_at": "2026-11-23T09:15:02+", "meta": {"new": time}},
            {"created_at": "2026-11-23 09:15:02Z", "meta": [time[:-1]]},
            {"created_at": time, "attribute_name": "a &lt; b"},
            {"created_at": time, "meta": u"\u0662026-11-23T09:15:02Z"},
            {"meta": {"new": time}},
            {"created_at": 3},
        ):
            for text in (json.dumps(row), json.dumps(row).replace('Z"', '\\u005a"')):
                slow = self.dates.convert(json.loads(text))
                quick = self.dates.convert(json.loads(text), text.encode("utf-8"))
                self.assertEqual(repr(quick), repr(slow), text)


if __name__ == "__main__":
    unittest.main()
