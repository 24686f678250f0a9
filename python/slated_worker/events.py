"""A row as the client would have returned it.

The daemon reads events once for everybody, so the worker does to a row what the client
does to an answer: every `YYYY-MM-DDThh:mm:ssZ` anywhere in it becomes a datetime in the
client's own local zone object, and `&lt;` in top-level texts becomes `<` again.
"""

import datetime
import re

# How every time ends, and what may hide one, or stands for a character.
_END = b'Z"'
_ODD = re.compile(br"&lt;|\\u")

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\Z")


class Dates(object):
    """Converts with the zone objects of the client that is loaded."""

    def __init__(self, client_module):
        zones = getattr(client_module, "sg_timezone", None)
        if zones is None or not hasattr(zones, "local"):
            zones = client_module.shotgun.SG_TIMEZONE
        self._utc = zones.utc
        self._local = zones.local
        # The zone object asks libc four times for each time it converts; events that arrive
        # together mostly share their minute, and no zone changes within one.
        self._minute = None
        self._shift = None

    def convert(self, row, line=None):
        """Returns the event dict of a row fresh from JSON, which is changed in place. `line` is
        the JSON it came in: it shows at a glance that there is nothing to look for."""
        if line is not None and line.count(_END) == 1 and _ODD.search(line) is None:
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
        if not _TIME.match(text):
            return text
        try:
            moment = datetime.datetime.fromisoformat(text[:19])
        except ValueError:
            try:  # digits of other scripts, which the client takes too
                moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
            except ValueError:
                return text
        if text[:16] == self._minute:
            return (moment + self._shift).replace(tzinfo=self._local)
        local = moment.replace(tzinfo=self._utc).astimezone(self._local)
        self._shift = local.replace(tzinfo=None) - moment
        self._minute = text[:16]
        return local
