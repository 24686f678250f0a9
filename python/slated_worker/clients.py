"""The `sg` of each callback: one real `shotgun_api3.Shotgun`, opened on first use.

`connect=False`: a site that is down must not keep a plugin from loading, and a plugin with
ten callbacks must not cost ten requests at every start.
"""

import re
import sys

from slated_worker import texts

NOT_LENT = (
    "this callback was registered without a script name, so its `sg` has no credentials."
    " Register it with a script name and key, or set `lend_key = true` under [plugins]"
    " to lend it slated's own"
)


OFFLINE = (
    "there is no site to ask: `slated try` was given none. Name one with --config FILE, or with"
    " --site URL and its key in SLATED_SITE_KEY; `slated sim` serves one on this machine"
)


class NoClient(Exception):
    """`shotgun_api3` cannot be imported; the text says what to do."""


def load():
    """Imports and returns shotgun_api3."""
    try:
        import shotgun_api3
    except ImportError as error:
        if getattr(error, "name", None) not in (None, "shotgun_api3"):
            raise NoClient("shotgun_api3 does not import: %s" % error)
        raise NoClient(
            "this Python has no shotgun_api3; install it with:"
            " %s -m pip install shotgun_api3" % sys.executable
        )
    except Exception as error:
        raise NoClient("shotgun_api3 does not import: %s" % texts.safe_str(error))
    return shotgun_api3


def version(module):
    """Returns the client's version as text, or None."""
    found = getattr(module, "__version__", None)
    return None if found is None else str(found)


def proxy_for_client(proxy):
    """Returns the proxy as the client wants it: `user:password@host:port` and no scheme,
    which it would take for the host."""
    return re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", proxy).rstrip("/") if proxy else None


class Clients(object):
    """Opens clients for one site."""

    def __init__(self, module, site):
        self.module = module
        self._url = site["url"]
        self._offline = bool(site.get("offline"))
        self._options = {"connect": False}
        self._lend = site.get("lend")
        proxy = proxy_for_client(site.get("proxy"))
        if proxy:
            self._options["http_proxy"] = proxy
            texts.hide(proxy.rpartition("@")[0].partition(":")[2])
        if site.get("ca_file"):
            self._options["ca_certs"] = site["ca_file"]
        if self._lend:
            texts.hide(self._lend["key"])

    def open(self, script, key):
        """Returns a client for these credentials, or for the lent ones where both are None."""
        if self._offline:
            return self._open_offline(script, key)
        lent = script is None and key is None and self._lend
        if lent:
            script, key = self._lend["script"], self._lend["key"]
        texts.hide(key)
        client = self.module.Shotgun(self._url, script, key, **self._options)
        if script is None and key is None:
            _refuse(client)
        return client

    def _open_offline(self, script, key):
        """Returns a client that asks nobody. Its writes come as far as those of any dry one."""
        texts.hide(key)
        if script is None and key is None:
            script, key = "offline", "offline"
        client = self.module.Shotgun(self._url, script, key, **self._options)

        def refuse(*_args, **_kwargs):
            raise RuntimeError(OFFLINE)

        client._call_rpc = refuse
        return client


def _refuse(client):
    """Makes a client without credentials say what is missing instead of the client's own
    "invalid auth params". A plugin that logs it in by itself afterwards may use it."""

    def guarded(method):
        def call(*args, **kwargs):
            config = client.config
            given = (config.script_name, config.user_login, config.session_token)
            if not any(given):
                raise RuntimeError(NOT_LENT)
            return method(*args, **kwargs)

        return call

    for name in ("_call_rpc", "_auth_params"):
        if hasattr(client, name):
            setattr(client, name, guarded(getattr(client, name)))
