"""What several tests need: the package on the path, and a stand-in for the client."""

import os
import sys
import types

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if PYTHON not in sys.path:
    sys.path.insert(0, PYTHON)


class Config(object):
    script_name = user_login = session_token = session_uuid = None


class Shotgun(object):
    def __init__(self, url, script, key, **options):
        self.arguments = (url, script, key, options)
        self.config = Config()
        self.config.script_name = script

    def set_session_uuid(self, uuid):
        self.config.session_uuid = uuid

    def _call_rpc(self, method):
        return "answer to " + method


def client_module():
    module = types.ModuleType("shotgun_api3")
    module.Shotgun = Shotgun
    return module
