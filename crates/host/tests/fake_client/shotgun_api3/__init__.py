"""As much of the client's shape as a worker touches, so that tests of processes run on any
Python. Tests of what the worker makes of the client use the client itself."""

import datetime

__version__ = "0.0.fake"


class _Zones(object):
    utc = datetime.timezone.utc
    local = datetime.timezone(datetime.timedelta(hours=2))


sg_timezone = _Zones()


class _Config(object):
    script_name = user_login = session_token = session_uuid = None


class Shotgun(object):
    def __init__(self, base_url, script_name=None, api_key=None, connect=True, **options):
        self.config = _Config()
        self.config.script_name = script_name
        self.base_url = base_url

    def set_session_uuid(self, session_uuid):
        self.config.session_uuid = session_uuid
