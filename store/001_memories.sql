CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The truth: append-only, nothing is ever removed or altered here but `seq`, once.
CREATE TABLE changes (
    n INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    counter INTEGER NOT NULL,
    document TEXT NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    hlc INTEGER NOT NULL,
    seq INTEGER,
    "update" BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX changes_origin ON changes (origin, counter);
CREATE INDEX changes_document ON changes (document, n);
CREATE UNIQUE INDEX changes_seq ON changes (seq) WHERE seq IS NOT NULL;

-- Projections: made from `changes`, dropped and made anew by a rebuild.
-- What the changes of a document merge to. One with a single change has no row: that change's update is its state.
CREATE TABLE documents (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    n INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE memories (
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    position TEXT NOT NULL,
    role TEXT NOT NULL,
    body_start INTEGER NOT NULL,
    body_end INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    text_hash BLOB NOT NULL,
    memory_type TEXT NOT NULL,
    user_id TEXT,
    agent_id TEXT,
    session_id TEXT,
    speaker TEXT,
    confidence REAL NOT NULL,
    source TEXT,
    valid_from INTEGER,
    valid_until INTEGER,
    invalidated_at INTEGER,
    invalidated_reason TEXT,
    invalidated_by TEXT,
    listed INTEGER NOT NULL,
    tags TEXT NOT NULL,
    slot INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    -- Last, so that the columns before are read without walking a long text.
    metadata TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX memories_topic ON memories (topic, position, id);
-- The conditions are those of `filter_clause`, in its words: a list and its count then need no row.
CREATE INDEX memories_created ON memories (created_at, id) WHERE listed = 1 AND invalidated_at IS NULL;
CREATE INDEX memories_gone ON memories (text_hash) WHERE invalidated_at IS NOT NULL;
CREATE INDEX memories_session ON memories (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX memories_user ON memories (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX memories_agent ON memories (agent_id) WHERE agent_id IS NOT NULL;

CREATE TABLE memory_tags (
    tag TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tag, id)
) STRICT, WITHOUT ROWID;

-- One row per change of a memory. A NULL text is that of the next version, or of `memories` where there is none.
CREATE TABLE versions (
    document TEXT NOT NULL,
    n INTEGER NOT NULL,
    version INTEGER NOT NULL,
    text TEXT,
    body_start INTEGER NOT NULL,
    body_end INTEGER NOT NULL,
    topic TEXT NOT NULL,
    position TEXT NOT NULL,
    alive INTEGER NOT NULL,
    PRIMARY KEY (document, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_topic ON versions (topic, document, n);

CREATE VIRTUAL TABLE entries USING fts5(
    content, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE entries_terms USING fts5vocab(entries, instance);

-- Side records and the state of the consumers: no projections, a rebuild leaves them alone.
CREATE TABLE vectors (
    text_hash BLOB NOT NULL,
    model TEXT NOT NULL,
    passage INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (text_hash, model, passage)
) STRICT;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    n INTEGER NOT NULL,
    UNIQUE (kind, key)
) STRICT;

CREATE TABLE vault_files (
    topic TEXT PRIMARY KEY,
    n INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A text a file had: what the changes up to and with `upto`, and those in `extra` (a JSON list), make of it.
CREATE TABLE vault_bases (
    topic TEXT NOT NULL,
    n INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    extra TEXT NOT NULL,
    by TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (topic, n, by)
) STRICT, WITHOUT ROWID;
