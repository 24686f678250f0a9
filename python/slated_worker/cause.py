"""Whether the network or the site stood behind an exception.

`site`: a call of the client to our site could not be made or was answered with a 5xx.
`transient`: any other network failure, worth another attempt. None: anything else, most
of all the plugin's own mistakes. Exceptions of libraries that may not be installed are
known by the names in their class's line of ancestors.
"""

import errno
import http.client
import socket
import ssl
import urllib.error
import urllib.parse

SITE = "site"
TRANSIENT = "transient"

_NETWORK_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNREFUSED ECONNRESET ECONNABORTED EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN"
        " ENETRESET ETIMEDOUT ENOTCONN EADDRNOTAVAIL"
    ).split()
    if hasattr(errno, name)
)
# Frames of these modules mean that a network was being talked to.
_NETWORK_MODULES = ("socket", "ssl", "http.client", "urllib.request", "smtplib", "ftplib")
_NETWORK_NAMES = frozenset(
    [
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError",
        "urllib3.exceptions.HTTPError",
        "httpx.TransportError",
        "httpcore.NetworkError",
        "httpcore.TimeoutException",
        "aiohttp.client_exceptions.ClientConnectionError",
        "smtplib.SMTPServerDisconnected",
        "smtplib.SMTPConnectError",
    ]
)
_CLIENT_TRANSPORT = ("ServerNotFoundError", "ProxiesUnavailableError", "ProxyError", "SOCKS5Error")
# What the client's own errors say; the second of a gateway's page in place of an answer, the others
# when it sent a file in vain.
_SAYS_DOWN = (
    "too busy to reply",
    "respond with a version number",
    "Max attempts limit reached",
    "response when uploading to",
)
# Functions of the client that talk to a file store.
_STORING = "_upload_data_to_storage"


def classify(error, site_url):
    """Returns SITE, TRANSIENT or None. Never raises: attributes of foreign exceptions may."""
    try:
        seen = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            found = _classify_one(error, site_url)
            if found:
                return found
            # Only an explicit cause: a bug in an `except` block is a bug.
            error = error.__cause__
    except Exception:
        pass
    return None


def _classify_one(error, site_url):
    frames = list(_frames(error.__traceback__))
    modules = [f.f_globals.get("__name__") or "" for f in frames]
    client = _in_client(frames, modules)
    if client is not None:
        if not (_is_network(error, modules) or _client_says_down(error)):
            return None
        # Uploads and downloads may go to a file store, whose trouble is not the site's.
        storing = any(frame.f_code.co_name == _STORING for frame in frames)
        direct = storing or "urllib.request" in modules
        elsewhere = direct or client not in ("", _host(site_url))
        return TRANSIENT if elsewhere else SITE
    if _is_network(error, modules) or _is_5xx(error):
        return TRANSIENT
    return None


def _frames(traceback):
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _in_client(frames, modules):
    """Returns the host the client was talking to, "" if unknown, None outside the client."""
    inside = None
    for frame, module in zip(frames, modules):
        if module == "shotgun_api3" or module.startswith("shotgun_api3."):
            inside = inside or ""
            server = _attr(_attr(frame.f_locals.get("self"), "config"), "server")
            if isinstance(server, str):
                inside = server.lower()
    return inside


def _host(url):
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2].lower()


def _client_says_down(error):
    code = _attr(error, "errcode")
    if isinstance(code, int):
        return code >= 500
    name = type(error).__name__
    if name in _CLIENT_TRANSPORT or name == "JSONDecodeError":
        return True
    try:
        text = str(error)
        # The client takes a page that is not JSON for an answer, and trips over it.
        not_json = name in ("AttributeError", "TypeError") and "'bytes' object" in text
        return not_json or any(words in text for words in _SAYS_DOWN)
    except Exception:
        return False


def _attr(thing, name):
    """getattr for foreign objects: an attribute that raises is not there."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _is_5xx(error):
    """An HTTP error of urllib, requests, httpx or aiohttp, known by what it carries."""
    for value in (
        error.code if isinstance(error, urllib.error.HTTPError) else None,
        _attr(_attr(error, "response"), "status_code"),
        _attr(error, "status") if _attr(error, "request_info") is not None else None,
    ):
        if isinstance(value, int) and not isinstance(value, bool) and 500 <= value < 600:
            return True
    return False


def _is_network(error, modules):
    if isinstance(error, urllib.error.HTTPError):
        return False  # an answer, if an unwelcome one
    if isinstance(error, urllib.error.URLError):
        return isinstance(error.reason, BaseException) and _is_network(error.reason, modules)
    talking = any(m in _NETWORK_MODULES or m.startswith("http.client") for m in modules)
    if isinstance(error, BrokenPipeError):
        return talking  # else a pipe to a child process
    if isinstance(error, (ConnectionError, socket.gaierror, socket.herror, ssl.SSLError)):
        return True
    if isinstance(error, http.client.HTTPException):
        return True
    if isinstance(error, (socket.timeout, TimeoutError)):
        # concurrent.futures and others raise the same class for waits of another kind.
        return talking or error.errno == errno.ETIMEDOUT or "timed out" in str(error)
    if isinstance(error, OSError) and error.errno in _NETWORK_ERRNOS:
        return True
    return any("%s.%s" % (c.__module__, c.__name__) in _NETWORK_NAMES for c in type(error).__mro__)
