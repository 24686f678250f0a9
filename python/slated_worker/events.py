"""A row as the client would have returned it.

The daemon reads events once for everybody, so the worker does to a row what the client
does to an answer: every `YYYY-MM-DDThh:mm:ssZ` anywhere in it becomes a datetime in the
client's own local zone object, and `&lt;` in top-level texts becomes `<` again.
"""

import datetime
import re

# How every time ends.
_END = b'Z"'

_DAY = datetime.timedelta(days=1)

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\Z")


class Dates(object):
    """Converts with the zone objects of the client that is loaded."""

    def __init__(self, client_module):
        zones = getattr(client_module, "sg_timezone", None)
        if zones is None or not hasattr(zones, "local"):
            zones = client_module.shotgun.SG_TIMEZONE
        self._utc = zones.utc
        self._local = zones.local
        # The zone object asks libc four times for each time it converts. No zone changes twice
        # within a day, so where its ends agree all of it does.
        self._day = None
        self._shift = None

    def convert(self, row, line=None):
        """Returns the event dict of a row fresh from JSON, which is changed in place. `line` is
        the JSON it came in: it shows at a glance that there is nothing to look for."""
        # An ampersand or a backslash may hide a time, or stand for a character.
        if line and b"&" not in line and b"\\" not in line and line.count(_END) == 1:
            created = row.get("created_at")
            # It ends as a time does, so it is the only one.
            if type(created) is str and len(created) == 20 and created[10::9] == "TZ":
                row["created_at"] = self._time(created)
                return row
        for key, value in row.items():
            if type(value) is str:
                if len(value) == 20 and value[10] == "T":
                    value = self._time(value)
                    row[key] = value
                if type(value) is str and "&lt;" in value:
                    row[key] = value.replace("&lt;", "<")
            elif value:
                row[key] = self._visit(value)
        return row

    def _visit(self, value):
        kind = type(value)
        if kind is str:
            return self._time(value) if len(value) == 20 and value[10] == "T" else value
        if kind is dict:
            for key, inner in value.items():
                if inner:
                    value[key] = self._visit(inner)
        elif kind is list:
            for at, inner in enumerate(value):
                if inner:
                    value[at] = self._visit(inner)
        return value

    def _time(self, text):
        if text[4::3] != "--T::Z":
            return text
        try:
            moment = datetime.datetime.fromisoformat(text[:19])
            if text[11:13] == "24":  # which newer Pythons take for the next day
                return text
        except ValueError:
            if not _TIME.match(text):
                return text
            try:  # digits of other scripts, which the client takes too
                moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
            except ValueError:
                return text
        if text[:10] != self._day:
            self._day, self._shift = text[:10], self._shift_on(moment)
        if self._shift is None:
            return self._convert(moment)
        return (moment + self._shift).replace(tzinfo=self._local)

    def _convert(self, moment):
        return moment.replace(tzinfo=self._utc).astimezone(self._local)

    def _shift_on(self, moment):
        """Returns how far local time is ahead on a day; None where that changes on it."""
        begin = moment.replace(hour=0, minute=0, second=0)
        try:
            first, last = (self._convert(m).replace(tzinfo=None) - m for m in (begin, begin + _DAY))
        except OverflowError:  # the ends of the calendar
            return None
        return first if first == last else None
