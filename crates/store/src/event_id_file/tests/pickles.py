"""Writes states as pickles in every way, and loads one that was written elsewhere.

Reads a JSON list of {"state": {folder: {stem: [last, [missing ..]] | last}}, "pickle": hex},
writes for each {"written": {name: hex}, "loaded": the same shape, "expires": [iso ..]}.
"""

import datetime
import io
import json
import pickle
import pickletools
import struct
import sys


class OldText(bytes):
    """What Python 2 calls a `str`."""


class PythonTwo(pickle._Pickler):
    """Writes names, moments and numbers as Python 2 does."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file, protocol, encoding, longs):
        super().__init__(file, protocol)
        self.encoding, self.longs = encoding, longs

    def save_text(self, text):
        self.save_old_text(OldText(encoded(text, self.encoding)))

    def save_old_text(self, data):
        if self.proto == 0:
            # The `repr` of bytes without its `b` is Python 2's of a `str`.
            self.write(b"S" + repr(bytes(data))[1:].encode() + b"\n")
        elif len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    def save_number(self, number):
        if self.longs and self.proto < 2:
            self.write(b"L%dL\n" % number)
        else:
            self.save_long(number)

    def save_moment(self, moment):
        _, (data,) = moment.__reduce_ex__(2)
        self.save_reduce(datetime.datetime, (OldText(data),), obj=moment)

    dispatch[str] = save_text
    dispatch[OldText] = save_old_text
    dispatch[int] = save_number
    dispatch[datetime.datetime] = save_moment


def encoded(text, encoding):
    try:
        data = text.encode(encoding)
        if data.decode("utf-8") == text:
            return data
    except UnicodeEncodeError:
        pass
    except UnicodeDecodeError:
        return data
    return text.encode("utf-8")


def state(case, shared):
    start = datetime.datetime(2026, 11, 24, 23, 58, 1, 999999)
    moment = lambda n: start if shared else start + datetime.timedelta(seconds=n)
    position = lambda p: (
        p if p is None or isinstance(p, int) else (p[0], {m: moment(n) for n, m in enumerate(p[1])})
    )
    return {f: {s: position(p) for s, p in stems.items()} for f, stems in case.items()}


def written(case):
    pickles = {}
    for shared in (True, False):
        whole = state(case, shared)
        for protocol in range(6):
            if protocol > pickle.HIGHEST_PROTOCOL:
                continue
            name = "protocol %d%s" % (protocol, " shared" if shared else "")
            pickles[name] = pickle.dumps(whole, protocol)
            pickles[name + " optimised"] = pickletools.optimize(pickles[name])
            pickles[name + " slow"] = pickle._dumps(whole, protocol)
        for protocol in range(3):
            for encoding in ("utf-8", "latin-1"):
                for longs in (True, False):
                    file = io.BytesIO()
                    PythonTwo(file, protocol, encoding, longs).dump(whole)
                    name = "Python 2, protocol %d, %s, longs %s, shared %s"
                    name %= (protocol, encoding, longs, shared)
                    pickles[name] = file.getvalue()
    return {name: data.hex() for name, data in pickles.items()}


def loaded(data):
    whole = pickle.loads(data)
    expires = set()

    def position(pair):
        assert type(pair) is tuple, pair
        last, missing = pair
        assert type(missing) is dict, missing
        for moment in missing.values():
            assert type(moment) is datetime.datetime and moment.tzinfo is None, moment
            # The Python daemon compares it with the clock, and keeps the dict.
            moment < datetime.datetime.now()
        expires.update(moment.isoformat() for moment in missing.values())
        return [last, list(missing)]

    return {
        "loaded": {f: {s: position(p) for s, p in stems.items()} for f, stems in whole.items()},
        "expires": sorted(expires),
        # What the Python daemon writes next.
        "again": pickle.dumps(whole, pickle.HIGHEST_PROTOCOL).hex(),
    }


answers = []
for case in json.load(sys.stdin):
    answer = {"written": written(case["state"])} if "state" in case else {}
    answer.update(loaded(bytes.fromhex(case["pickle"])))
    answers.append(answer)
json.dump(answers, sys.stdout)
