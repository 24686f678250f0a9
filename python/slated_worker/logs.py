"""Records of loggers as frames, so that the daemon can write each plugin's file and mail with
the fields the Python daemon's formats know. The root logger has the handler, too, as it had one
there: helper modules log by their own names, and `logging.basicConfig` finds that nothing is left
to do."""

import logging
import os
import sys
import traceback

from slated_worker import channel as channels
from slated_worker import texts

MESSAGE_LIMIT = 256 * 1024

# As they are before a plugin runs: what it puts in their places is for its own use.
_getpid = os.getpid


class FrameHandler(logging.Handler):
    """Sends records to the daemon. `seq` is the frame in hand, or None."""

    def __init__(self, channel):
        logging.Handler.__init__(self)
        self._channel = channel
        self._pid = _getpid()
        self.seq = None

    def emit(self, record):
        """Sends one record; what cannot be formatted is sent as it stands."""
        try:
            text = record.getMessage()
        except Exception as error:
            text = "%s (its arguments do not fit it: %s)" % (
                texts.safe_str(record.msg),
                texts.safe_str(error),
            )
        if record.exc_info and record.exc_info[0]:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        elif record.exc_text:
            text += "\n" + record.exc_text
        if record.stack_info:
            text += "\n" + texts.safe_str(record.stack_info)
        if _getpid() != self._pid:
            # A forked child has no part in the protocol, but its words are heard.
            sys.stderr.write("%s %s: %s\n" % (record.levelname, record.name, texts.masked(text)))
            return
        message = {
            "type": "log",
            "level": max(0, int(record.levelno)),
            "logger": record.name,
            "message": texts.masked(texts.cut(text, MESSAGE_LIMIT)),
            "time": int(record.created * 1000000),
            "path": record.pathname,
            "func": record.funcName or "",
            "line": record.lineno,
        }
        if self.seq is not None:
            message["seq"] = self.seq
        try:
            self._channel.send(message)
        except channels.HostGone:
            pass  # the answer that cannot be written ends the worker


class RootHandler(logging.Handler):
    """Hands on what loggers beside the plugin's own say."""

    def __init__(self, logger, handler):
        logging.Handler.__init__(self)
        self._logger = logger
        self._handler = handler

    def emit(self, record):
        """Hands on one record, unless the plugin's logger did."""
        own = self._logger.name
        is_own = record.name == own or record.name.startswith(own + ".")
        if not (is_own and self._handler in self._logger.handlers):
            self._handler.emit(record)


def plugin_logger(stem, level, handler):
    """Returns the logger `plugin.STEM`; those of callbacks are its children."""
    logger = logging.getLogger("plugin." + stem)
    logger.setLevel(level)
    logger.addHandler(handler)
    logging.getLogger().addHandler(RootHandler(logger, handler))
    return logger
