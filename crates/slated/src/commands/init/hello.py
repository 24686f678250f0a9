"""Says hello to every new Version: a first plugin.

slated calls registerCallbacks when it loads the file, and new_version for each event that was asked
for there. Try it with one event, without a site and without writing anything:

    slated try plugins/hello.py --offline --type Shotgun_Version_New
"""


def registerCallbacks(reg):
    """Says which events go to which function."""
    # An event's type, and the attributes of it that matter: None takes them all.
    wanted = {"Shotgun_Version_New": None}

    # None, None: the callback has no script user of its own, so `sg` below cannot be used. One that
    # reads or writes the site registers with the name and key of a script user:
    #     reg.registerCallback("hello", os.environ["SGDAEMON_HELLO_KEY"], new_version, wanted)
    reg.registerCallback(None, None, new_version, wanted)

    # An event on which a callback fails holds the plugin until you have mended it. With
    # stopOnError=False it is put aside, and the plugin goes on with the next one.


def new_version(sg, logger, event, args):
    """Called with a connection, a logger, the event, and what registerCallback was given as args."""
    user = event.get("user") or {}
    entity = event.get("entity") or {}
    logger.info("Hello %s, thank you for %s.", user.get("name", "you"), entity.get("name", "it"))
