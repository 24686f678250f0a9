"""A worker that writes nothing to the site: `config.dry` of the hello.

Every method of the client's class that writes is replaced before the plugin is loaded, so that each
`Shotgun` it opens refuses and records. A refused write returns what the site would have returned
(a row that was created has a negative id), so that the plugin goes on and all of what it would have
written is seen. A second net lies below: the calls by which any method reaches the site, of which
only those pass that are known to read.

Invariant: what is in none of these lists is refused with an error. A client that is newer than this
file can do less here, never more.

Not here: files, chat, subprocesses, other ways to the site. The daemon tells people so.
"""

import inspect
import json
import os
import sys
import threading

from slated_worker import texts

# Methods of the client that read the site.
READING = frozenset(
    """
    activity_stream_read download_attachment entity_types export_page find find_one followers
    following get_attachment_download_url info nav_expand nav_search_entity nav_search_string
    note_thread_read preferences_read schema schema_entity_read schema_field_read schema_read
    summarize text_search user_subscriptions_read work_schedule_read
    """.split()
)

# Methods that change nothing but the client object, or log in.
HARMLESS = frozenset(
    """
    add_user_agent authenticate_human_user close connect get_auth_cookie_handler get_session_token
    reset_user_agent set_session_uuid
    """.split()
)

# What a client may ask of a site below its methods: the names api3 has for reads.
CALLS = frozenset(
    """
    activity_stream export_page followers following get_session_token info nav_expand nav_search
    note_thread_contents preferences_read query_display_name_cache read schema_entity_read
    schema_field_read schema_read summarize user_subscriptions_read work_schedule_read
    """.split()
)

# Ways by which a client sends files, past its calls.
SENDING = (
    "_complete_multipart_upload",
    "_get_attachment_upload_info",
    "_get_upload_part_link",
    "_make_upload_request",
    "_multipart_upload_file_to_storage",
    "_send_form",
    "_upload_data_to_storage",
    "_upload_file_to_storage",
    "_upload_to_sg",
    "_upload_to_storage",
)

# What carries a client's calls, below them: (verb, path, body, ...). It takes what a call that reads
# gave it, and what has no body.
CARRYING = ("_make_call", "_http_request")

# How much is told of what was to be written, in characters.
DATA_LIMIT = 4000

_SEALED = "_slated_dry"

# As they are before a plugin runs: what it puts in their places is for its own use.
_getpid = os.getpid


class DryRun(RuntimeError):
    """A write that was refused and that nothing can stand in for."""


class Ledger(object):
    """Tells the daemon what was refused."""

    def __init__(self, channel, running):
        """`running` returns the frame and the callback in hand, or None."""
        self._channel = channel
        self._running = running
        self._lock = threading.Lock()
        self._last = 0
        self._pid = _getpid()

    def next_id(self):
        """Returns an id that no entity has."""
        with self._lock:
            self._last -= 1
            return self._last

    def wrote(self, method, entity, id, data):
        """Records one write."""
        message = {"type": "write", "method": method, "data": as_text(data)}
        if isinstance(entity, str):
            message["entity"] = entity
        if isinstance(id, int) and abs(id) < 2**53:
            message["id"] = int(id)
        running = self._running()
        if running:
            message["seq"] = running[0]["seq"]
            message["n"] = running[1].n
        if _getpid() != self._pid:
            # A forked child has no part in the protocol, but its words are heard.
            sys.stderr.write("dry: not written: %s %s %s\n" % (method, entity, message["data"]))
            return
        self._channel.send(message)


def as_text(data):
    """Returns data as JSON where that can be, cut, without secrets."""
    try:
        text = json.dumps(data, default=texts.safe_str, ensure_ascii=False)
    except Exception:
        text = texts.safe_repr(data)
    return texts.masked(texts.cut(text, DATA_LIMIT))


def seal(client, ledger):
    """Seals the client that is loaded, and every copy of it that is imported later: studios and
    toolkits carry their own."""
    seal_module(client, ledger)
    for name, module in list(sys.modules.items()):
        if _is_client(name):
            seal_module(module, ledger)
    sys.meta_path.insert(0, _Finder(ledger))


def seal_module(module, ledger):
    """Seals the class of a module that is, or holds, a client."""
    found = getattr(module, "Shotgun", None)
    if isinstance(found, type):
        seal_class(found, ledger)


def seal_class(cls, ledger):
    """Replaces what writes in a class."""
    if _SEALED in cls.__dict__:
        return
    setattr(cls, _SEALED, True)
    for name in dir(cls):
        method = getattr(cls, name)
        if name.startswith("_") or not inspect.isroutine(method):
            continue
        if name in WRITING:
            setattr(cls, name, _standing_in(name, method, ledger))
        elif name not in READING and name not in HARMLESS:
            setattr(cls, name, _refusing(name, ledger))
    reading = threading.local()
    if hasattr(cls, "_call_rpc"):
        cls._call_rpc = _only_reading(cls._call_rpc, ledger, reading)
    for name in CARRYING:
        if hasattr(cls, name):
            setattr(cls, name, _only_carrying(name, getattr(cls, name), ledger, reading))
    for name in SENDING:
        if hasattr(cls, name):
            setattr(cls, name, _refusing(name, ledger))


def _standing_in(name, method, ledger):
    """Returns what records a write and returns what the site would have."""
    signature = inspect.signature(method)
    stand_in = WRITING[name]

    def dry(self, *args, **kwargs):
        # Wrong arguments and missing credentials are errors here as they are there.
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        if hasattr(self, "_auth_params"):
            self._auth_params()
        call = dict(given.arguments)
        call.pop(next(iter(call)))  # the client
        return stand_in(call, ledger, name)

    return _named(dry, name)


def _refusing(name, ledger):
    def refuse(self, *args, **kwargs):
        ledger.wrote(name, None, None, list(args) or kwargs)
        raise DryRun("this is a dry run, and %s may write to the site" % name)

    return _named(refuse, name)


def _only_reading(method, ledger, reading):
    """`reading.now` is true in a thread as long as a call is under way that reads."""

    def _call_rpc(self, name, *args, **kwargs):
        if name not in CALLS:
            ledger.wrote(name, None, None, args[0] if args else kwargs.get("params"))
            raise DryRun("this is a dry run, and the call %s may write to the site" % name)
        before = getattr(reading, "now", False)
        reading.now = True
        try:
            return method(self, name, *args, **kwargs)
        finally:
            reading.now = before

    return _call_rpc


def _only_carrying(name, method, ledger, reading):
    def carry(self, verb, path, *args, **kwargs):
        if not getattr(reading, "now", False) and verb != "GET":
            ledger.wrote(name, None, None, [verb, path] + list(args[:1]))
            raise DryRun("this is a dry run, and %s may write to the site" % name)
        return method(self, verb, path, *args, **kwargs)

    return _named(carry, name)


def _named(function, name):
    function.__name__ = name
    return function


# What stands in for each method that writes: (arguments by name, ledger, method) -> its answer.


def _create(call, ledger, method):
    kind, data = call["entity_type"], dict(call["data"] or {})
    ledger.wrote(method, kind, None, data)
    row = dict.fromkeys(call.get("return_fields") or ())
    row.update(data)
    row.update(type=kind, id=ledger.next_id())
    return row


def _update(call, ledger, method):
    kind, id, data = call["entity_type"], call["entity_id"], dict(call["data"] or {})
    ledger.wrote(method, kind, id, data)
    data.update(type=kind, id=id)
    return data


def _true(call, ledger, method):
    ledger.wrote(method, call.get("entity_type"), call.get("entity_id"), _rest(call))
    return True


def _nothing(call, ledger, method):
    _true(call, ledger, method)


def _new_id(call, ledger, method):
    _true(call, ledger, method)
    return ledger.next_id()


def _batch(call, ledger, method):
    kinds = {"create": _create, "update": _update, "delete": _true}
    answers = []
    for request in call["requests"]:
        kind = request.get("request_type")
        if kind not in kinds:
            ledger.wrote("batch", request.get("entity_type"), request.get("entity_id"), request)
            raise DryRun("this is a dry run, and a batch cannot hold %r" % (kind,))
        answers.append(kinds[kind](dict({"data": {}}, **request), ledger, kind))
    return answers


def _follow(call, ledger, method):
    _of_entity(call, ledger, method)
    return {"followed": True, "user": call["user"], "entity": call["entity"]}


def _unfollow(call, ledger, method):
    _of_entity(call, ledger, method)
    return {"unfollowed": True, "user": call["user"], "entity": call["entity"]}


def _of_entity(call, ledger, method):
    entity = call["entity"] or {}
    ledger.wrote(method, entity.get("type"), entity.get("id"), _rest(call))


def _last_accessed(call, ledger, method):
    ledger.wrote(method, "Project", (call["project"] or {}).get("id"), _rest(call))


def _new_field(call, ledger, method):
    _true(call, ledger, method)
    return "sg_" + "_".join(str(call["display_name"]).lower().split())


def _schedule(call, ledger, method):
    _true(call, ledger, method)
    return {key: call.get(key) for key in ("date", "working", "description", "project", "user")}


def _rest(call):
    return {
        key: value
        for key, value in call.items()
        if key not in ("entity_type", "entity_id") and value is not None
    }


WRITING = {
    "batch": _batch,
    "create": _create,
    "delete": _true,
    "follow": _follow,
    "revive": _true,
    "schema_field_create": _new_field,
    "schema_field_delete": _true,
    "schema_field_update": _true,
    "share_thumbnail": _new_id,
    "unfollow": _unfollow,
    "update": _update,
    "update_project_last_accessed": _last_accessed,
    "upload": _new_id,
    "upload_filmstrip_thumbnail": _new_id,
    "upload_thumbnail": _new_id,
    "user_subscriptions_create": _true,
    "work_schedule_update": _schedule,
}


def _is_client(name):
    parts = name.split(".")
    return parts[-1] == "shotgun_api3" or parts[-2:] == ["shotgun_api3", "shotgun"]


class _Finder(object):
    """Finds copies of the client as others would, and has them sealed."""

    def __init__(self, ledger):
        self._ledger = ledger

    def find_spec(self, name, path=None, target=None):
        """Returns the spec another finder has for a client, or None."""
        if not _is_client(name):
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                loader = spec.loader
                if hasattr(loader, "exec_module"):
                    spec.loader = _Executing(loader, self._ledger)
                elif hasattr(loader, "load_module"):
                    spec.loader = _Loading(loader, self._ledger)
                return spec
        return None


class _Sealing(object):
    """A loader that seals what another one loads."""

    def __init__(self, loader, ledger):
        self._loader = loader
        self._ledger = ledger

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def _seal(self, module):
        seal_module(module, self._ledger)
        module.__loader__ = self._loader
        if getattr(module, "__spec__", None) is not None:
            module.__spec__.loader = self._loader


class _Executing(_Sealing):
    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._seal(module)


class _Loading(_Sealing):
    """For loaders of archives before Python 3.10."""

    def load_module(self, name):
        module = self._loader.load_module(name)
        self._seal(module)
        return module
