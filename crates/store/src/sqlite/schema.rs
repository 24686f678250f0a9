//! The tables, and the steps that bring an older file to them.
//!
//! Invariant: a step, once released, never changes; a new format is a new step. The
//! format is `PRAGMA user_version`: how many steps a file has behind it. Table `meta` with
//! its `key` and `value` stays in every format, so that an older slated can at least name
//! the version that wrote a file it cannot read.

/// `PRAGMA application_id` of a state file: the letters `slat`.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"slat");

/// The steps from an empty file to the newest format, in order.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4];

/// Format 1.
///
/// Names are interned: `plugin` and `callback` hold each once, everything else their keys.
/// `ahead` names outcomes of events after their lane's cursor; it is nearly always empty,
/// and spares a start the search for them. Retention may delete old events but must leave
/// the newest: the next offset is taken from it. The views are for people with `sqlite3`.
const V1: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    offset INTEGER PRIMARY KEY,
    id INTEGER NOT NULL UNIQUE,
    late INTEGER NOT NULL,
    event_type TEXT,
    attribute_name TEXT,
    created_at TEXT,
    body TEXT,
    unreadable TEXT,
    crc INTEGER NOT NULL,
    CHECK ((body IS NULL) <> (unreadable IS NULL))
) STRICT;

CREATE TABLE hole (
    lo INTEGER PRIMARY KEY,
    hi INTEGER NOT NULL,
    age_ms INTEGER NOT NULL,
    looks INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;

CREATE TABLE plugin (
    key INTEGER PRIMARY KEY,
    folder TEXT NOT NULL,
    stem TEXT NOT NULL,
    UNIQUE (folder, stem)
) STRICT;

CREATE TABLE callback (
    key INTEGER PRIMARY KEY,
    plugin INTEGER NOT NULL,
    name TEXT NOT NULL,
    k INTEGER NOT NULL,
    UNIQUE (plugin, name, k)
) STRICT;

CREATE TABLE lane (
    plugin INTEGER PRIMARY KEY,
    floor INTEGER,
    owed TEXT NOT NULL,
    in_line_from INTEGER NOT NULL,
    hold TEXT,
    stopped INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    content TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    skipped TEXT NOT NULL,
    moved_to TEXT,
    crc INTEGER NOT NULL
) STRICT;

CREATE TABLE cursor (
    plugin INTEGER PRIMARY KEY,
    offset INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;

CREATE TABLE outcome (
    seq INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    plugin INTEGER NOT NULL,
    callback INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    us INTEGER,
    detail TEXT,
    at_ms INTEGER NOT NULL,
    UNIQUE (event, plugin, callback)
) STRICT;
CREATE INDEX outcome_plugin ON outcome (plugin);

CREATE TABLE ahead (
    plugin INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    PRIMARY KEY (plugin, offset, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    event INTEGER NOT NULL,
    plugin INTEGER NOT NULL,
    callback INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    aside INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    left_ms INTEGER NOT NULL,
    failure TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (event, plugin, callback)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    pid INTEGER PRIMARY KEY,
    plugin INTEGER NOT NULL,
    started INTEGER NOT NULL
) STRICT;

CREATE VIEW outcomes AS
SELECT o.event, p.folder || '/' || p.stem AS plugin,
       iif(c.k = 1, c.name, c.name || '#' || c.k) AS callback,
       o.kind, o.attempt, o.us, o.detail,
       strftime('%Y-%m-%dT%H:%M:%SZ', o.at_ms / 1000, 'unixepoch') AS at
FROM outcome o JOIN plugin p ON p.key = o.plugin JOIN callback c ON c.key = o.callback;

CREATE VIEW attempts AS
SELECT a.event, p.folder || '/' || p.stem AS plugin,
       iif(c.k = 1, c.name, c.name || '#' || c.k) AS callback,
       a.aside, a.failed, a.deaths, a.failure,
       strftime('%Y-%m-%dT%H:%M:%SZ', a.at_ms / 1000, 'unixepoch') AS at
FROM attempt a JOIN plugin p ON p.key = a.plugin JOIN callback c ON c.key = a.callback;

CREATE VIEW lanes AS
SELECT p.folder || '/' || p.stem AS plugin, u.offset AS cursor, l.floor, l.owed,
       l.in_line_from, l.hold, l.stopped, l.gone, l.content, l.skipped, l.moved_to
FROM lane l JOIN plugin p ON p.key = l.plugin JOIN cursor u ON u.plugin = l.plugin;
";

/// Format 2: dead letters are found without a walk over all outcomes.
const V2: &str = "
CREATE INDEX outcome_dead ON outcome (seq) WHERE kind = 'dead_letter';
";

/// Format 3: what else a person or slated wants of a lane, as JSON (nothing as a rule), and dead
/// letters by their plugin.
const V3: &str = "
ALTER TABLE lane ADD COLUMN more TEXT;
CREATE INDEX outcome_dead_of ON outcome (plugin, seq) WHERE kind = 'dead_letter';
";

/// Format 4: rows of a site that became another one stand apart from the log. They keep their
/// offsets, and what was on record of them.
const V4: &str = "
CREATE TABLE void (
    offset INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,
    late INTEGER NOT NULL,
    event_type TEXT,
    attribute_name TEXT,
    created_at TEXT,
    body TEXT,
    unreadable TEXT,
    crc INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX void_id ON void (id);

CREATE TABLE void_outcome (
    seq INTEGER PRIMARY KEY,
    offset INTEGER NOT NULL,
    event INTEGER NOT NULL,
    plugin INTEGER NOT NULL,
    callback INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    us INTEGER,
    detail TEXT,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX void_outcome_offset ON void_outcome (offset);
";
