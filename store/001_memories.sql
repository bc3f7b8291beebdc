CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- This node alone decides the order, until it shares a swarm.
INSERT INTO meta VALUES ('swarm.sole', '1'), ('order.alone', '1');

-- The truth: append-only, nothing is ever removed or altered here. Of each origin the counters from 1 on, without a gap.
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
    "update" BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX changes_origin ON changes (origin, counter);
CREATE INDEX changes_document ON changes (document, n);

-- The order: positions `seq` to `seq + count - 1` are the changes of `origin` from `counter` on. A run may be known
-- before the changes it names; changes without a run are pending.
CREATE TABLE commits (
    seq INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    counter INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX commits_origin ON commits (origin, counter);

-- Changes ordered before those they follow were known here; the first of an origin that fits goes to `changes`.
CREATE TABLE ahead (
    origin TEXT NOT NULL,
    counter INTEGER NOT NULL,
    document TEXT NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    hlc INTEGER NOT NULL,
    "update" BLOB NOT NULL,
    PRIMARY KEY (origin, counter)
) STRICT, WITHOUT ROWID;

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
    -- The change that made it what it is.
    n INTEGER NOT NULL,
    -- Last, so that the columns before are read without walking a long text.
    metadata TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX memories_topic ON memories (topic, position, id);
CREATE INDEX memories_heads ON memories (topic, position, id) WHERE role = 'head' AND invalidated_at IS NULL;
-- The conditions are those of `filter_clause`, in its words: a list and its count then need no row.
CREATE INDEX memories_created ON memories (created_at, id) WHERE listed = 1 AND invalidated_at IS NULL;
CREATE INDEX memories_text ON memories (text_hash);
CREATE INDEX memories_session ON memories (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX memories_user ON memories (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX memories_agent ON memories (agent_id) WHERE agent_id IS NOT NULL;

CREATE TABLE memory_tags (
    tag TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tag, id)
) STRICT, WITHOUT ROWID;

-- What a memory was after each change but its last one. A NULL text is that of the next version, the last one's that of
-- `memories`.
CREATE TABLE past (
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
CREATE INDEX past_topic ON past (topic, document, n);

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

-- The outbox: files to be brought up to change `n`, and changes whose text may have no vectors yet.
CREATE TABLE to_mirror (
    topic TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE to_embed (
    n INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE vault_files (
    topic TEXT PRIMARY KEY,
    n INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX vault_files_by_inode ON vault_files (inode);

-- A text a file had: what the changes up to and with `upto`, and those in `extra` (a JSON list), make of it. Its
-- `names` are the topics that the file has been since, as JSON: its memories stood in the first one then.
CREATE TABLE vault_bases (
    topic TEXT NOT NULL,
    n INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    names TEXT NOT NULL,
    extra TEXT NOT NULL,
    by TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (topic, n, by)
) STRICT, WITHOUT ROWID;

-- What consensus has decided; the same on every node that has taken the same steps. `step` is the Raft index of the last
-- one taken here, `token` the last fencing token given, `result` the number of results so far.
CREATE TABLE machine (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    step INTEGER NOT NULL,
    term INTEGER NOT NULL,
    token INTEGER NOT NULL,
    result INTEGER NOT NULL
) STRICT;
INSERT INTO machine VALUES (1, 0, 0, 0, 0);

CREATE TABLE leases (
    key TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL,
    granted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registers (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE names (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The directory: who belongs to the swarm, and since which step.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last answers, so that a command that comes twice is answered twice and done once.
CREATE TABLE results (
    n INTEGER PRIMARY KEY,
    command BLOB NOT NULL UNIQUE,
    outcome TEXT NOT NULL,
    number INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
