-- Events that the merchant's systems are told, and customer service: pushes, conversations, messages, pictures.

-- One row for each transition, append-only. Positions are given in the order of the commits, so nobody who has read up to
-- one of them misses an event. The data are sealed: they may hold what customers wrote.
CREATE TABLE event (
    position    IDENTITY,
    id          TEXT   NOT NULL UNIQUE,
    type        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    data_sealed BYTES  NOT NULL,
    created_ms  BIGINT NOT NULL,
    UNIQUE (subject, sequence)
);

-- Every push of WeChat, once, with the exact answer. Copies of one push are counted.
CREATE TABLE push (
    appid            TEXT   NOT NULL,
    dedupe_key       TEXT   NOT NULL,
    id               TEXT   NOT NULL,
    kind             TEXT   NOT NULL,
    answer           TEXT   NOT NULL,
    content_type     TEXT   NOT NULL,
    copies           BIGINT NOT NULL,
    plaintext_sealed BYTES  NOT NULL,
    received_ms      BIGINT NOT NULL,
    PRIMARY KEY (appid, dedupe_key)
);
CREATE INDEX push_received ON push (received_ms);

-- The chat of one customer with one app; business_id is empty unless the app has sub-merchants.
CREATE TABLE conversation (
    id                 TEXT   PRIMARY KEY,
    appid              TEXT   NOT NULL,
    customer_id        TEXT   NOT NULL REFERENCES customer (id),
    business_id        TEXT   NOT NULL,
    handler            TEXT   NOT NULL,
    session_from       TEXT,
    unread             BIGINT NOT NULL,
    waiting_since_ms   BIGINT,
    forwarded_ms       BIGINT,
    allowance_left     BIGINT NOT NULL,
    allowance_until_ms BIGINT NOT NULL,
    last_message_ms    BIGINT NOT NULL,
    created_ms         BIGINT NOT NULL,
    UNIQUE (appid, customer_id, business_id)
);
CREATE INDEX conversation_latest ON conversation (last_message_ms, id);
CREATE INDEX conversation_waiting ON conversation (waiting_since_ms) WHERE waiting_since_ms IS NOT NULL;

-- What was said in both directions. The content is sealed. `client_id` makes a reply that is posted twice one reply; `place`
-- orders what was said in one moment.
CREATE TABLE message (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversation (id),
    direction       TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    content_sealed  BYTES  NOT NULL,
    picture_id      TEXT,
    state           TEXT   NOT NULL,
    handler         TEXT,
    author          TEXT,
    client_id       TEXT,
    fingerprint     TEXT,
    errcode         BIGINT,
    attempts        BIGINT NOT NULL,
    said_ms         BIGINT NOT NULL,
    place           BIGINT NOT NULL,
    created_ms      BIGINT NOT NULL,
    updated_ms      BIGINT NOT NULL,
    UNIQUE (conversation_id, client_id)
);
CREATE INDEX message_conversation ON message (conversation_id, said_ms, place);
CREATE INDEX message_outgoing ON message (conversation_id, created_ms, place) WHERE state IN ('queued', 'sending');

-- Pictures of both directions. The bytes are sealed; they are there when the state is 'kept'.
CREATE TABLE picture (
    id             TEXT   PRIMARY KEY,
    appid          TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    reason         TEXT,
    content_type   TEXT,
    length_bytes   BIGINT,
    bytes_sealed   BYTES,
    media_id       TEXT,
    media_until_ms BIGINT,
    created_ms     BIGINT NOT NULL
);

-- When a rule last answered in a conversation by itself.
CREATE TABLE rule_use (
    conversation_id TEXT   NOT NULL REFERENCES conversation (id),
    rule            TEXT   NOT NULL,
    used_ms         BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, rule)
);

-- Rules that were set through the API, in their order, beside those of the configuration.
CREATE TABLE rule (
    appid      TEXT   NOT NULL,
    place      BIGINT NOT NULL,
    rule_json  TEXT   NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (appid, place)
);

-- Subscribe messages: one for each order and name, never a second one.
CREATE TABLE subscribe_message (
    order_id     TEXT   NOT NULL REFERENCES shop_order (id),
    name         TEXT   NOT NULL,
    values_json  TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    errcode      BIGINT,
    msg_id       TEXT,
    created_ms   BIGINT NOT NULL,
    updated_ms   BIGINT NOT NULL,
    PRIMARY KEY (order_id, name)
);
