#!/bin/sh
# Appends a line to a file for each status that a Version gets: a plugin without Python, and a pattern for
# one in any language. It speaks the worker protocol (docs/protocol.md): a JSON object a line, on stdin and
# stdout. What it writes to stderr stands in slated's log.
#
# A shell does not read JSON. This one looks for `"name":` in the line, which does for what it needs: slated
# writes a message's `type` first and its event last, and ids, times and status codes hold neither quotation
# marks nor backslashes. For names and other texts of people take a program that reads JSON.

if [ -z "$SLATED_PROTOCOL" ]; then
    echo "slated starts this; try it with: slated try ./status_journal.plugin.toml --type ..." >&2
    exit 64
fi
# Which is for this process alone, and not for what it starts.
unset SLATED_WORKER_COOKIE

say() { printf '%s\n' "$1"; }

# Prints the text, or the number, that stands behind the first `"$1":` of $line; nothing where it is null.
text() {
    behind=${line#*\""$1"\":}
    behind=${behind# }
    case $behind in \"*) behind=${behind#\"} && printf '%s' "${behind%%\"*}" ;; esac
}
number() {
    behind=${line#*\""$1"\":}
    behind=${behind# }
    printf '%s' "${behind%%[!0-9]*}"
}

hello() {
    case $line in *'"dry":true'*) dry=yes ;; esac
    # It never writes to the site, so it can be `dry`.
    say '{"type":"hello","protocol":{"major":1,"minor":3},"features":["dry"],"runtime":"sh","pid":'$$'}'
    if [ -z "$STATUS_JOURNAL" ]; then
        say '{"type":"load_failed","phase":"register","message":"STATUS_JOURNAL is not set: the file to write to"}'
        exit 78
    fi
    # One event at a time: then none is on its way behind one that fails.
    say '{"type":"ready","window":1,"callbacks":[{"n":0,"name":"status_changed","stop_on_error":true,"match":{"Shotgun_Version_Change":{"attrs":["sg_status_list"]}}}]}'
}

# An event may come again, after a crash in the middle or a failure. Its key is the same then.
append() {
    key=$(text key)
    entry="$(text created_at) Version $(number entity_id) is $(text new_value) [$key]"
    if [ "$dry" ]; then
        echo "would append: $entry" >&2
    elif ! grep -qsF -e "[$key]" "$STATUS_JOURNAL"; then
        echo "$entry" >>"$STATUS_JOURNAL"
    fi
}

event() {
    seq=$(number seq)
    if append; then
        say '{"type":"result","seq":'"$seq"',"n":0,"us":0}'
    else
        # A share may come back: `transient` has it tried again.
        say '{"type":"result","seq":'"$seq"',"n":0,"us":0,"stop":true,"error":{"type":"WriteError","message":"STATUS_JOURNAL cannot be written; the log says why","cause":"transient"}}'
    fi
    say '{"type":"done","seq":'"$seq"'}'
}

while IFS= read -r line; do
    case $line in
    '{"type":"hello"'*) hello ;;
    '{"type":"event"'*) event ;;
    '{"type":"goodbye"'*) exit 0 ;;
    esac
done
# slated is gone without a goodbye.
exit 70
