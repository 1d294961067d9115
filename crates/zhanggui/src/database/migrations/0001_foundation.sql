-- Customers, sessions, products, orders, payments, evidence and jobs.
-- Ids are TEXT, money is BIGINT in fen, times are BIGINT in milliseconds since 1970, BYTES is BLOB or BYTEA.
-- A statement ends with a semicolon at the end of a line.

CREATE TABLE customer (
    id                 TEXT   PRIMARY KEY,
    appid              TEXT   NOT NULL,
    openid             TEXT   NOT NULL,
    unionid            TEXT,
    session_key_sealed BYTES,
    created_ms         BIGINT NOT NULL,
    last_login_ms      BIGINT,
    UNIQUE (appid, openid)
);

-- Only the SHA-256 of a token is stored.
CREATE TABLE session (
    token_hash   TEXT   PRIMARY KEY,
    customer_id  TEXT   NOT NULL REFERENCES customer (id),
    created_ms   BIGINT NOT NULL,
    last_used_ms BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    revoked_ms   BIGINT
);

CREATE TABLE api_key (
    id           TEXT   PRIMARY KEY,
    name         TEXT   NOT NULL,
    key_hash     TEXT   NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,
    revoked_ms   BIGINT
);

CREATE TABLE product (
    appid      TEXT   NOT NULL,
    sku        TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    price_fen  BIGINT NOT NULL CHECK (price_fen > 0),
    active     BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (appid, sku)
);

-- "order" is a word of SQL. The states are those of order/state.rs.
CREATE TABLE shop_order (
    id              TEXT   PRIMARY KEY,
    appid           TEXT   NOT NULL,
    mchid           TEXT   NOT NULL,
    customer_id     TEXT   NOT NULL REFERENCES customer (id),
    reference       TEXT,
    description     TEXT   NOT NULL,
    attach          TEXT,
    items_json      TEXT   NOT NULL,
    amount_fen      BIGINT NOT NULL CHECK (amount_fen > 0),
    currency        TEXT   NOT NULL,
    refunded_fen    BIGINT NOT NULL CHECK (refunded_fen >= 0 AND refunded_fen <= amount_fen),
    state           TEXT   NOT NULL,
    close_reason    TEXT,
    paid_payment_id TEXT,
    created_ms      BIGINT NOT NULL,
    expires_ms      BIGINT NOT NULL,
    paid_ms         BIGINT,
    closed_ms       BIGINT
);
CREATE INDEX shop_order_customer ON shop_order (customer_id, created_ms);

-- One attempt to pay an order: one out_trade_no. The states are those of payment/state.rs.
CREATE TABLE payment (
    id             TEXT   PRIMARY KEY,
    order_id       TEXT   NOT NULL REFERENCES shop_order (id),
    appid          TEXT   NOT NULL,
    mchid          TEXT   NOT NULL,
    openid         TEXT   NOT NULL,
    api            TEXT   NOT NULL,
    out_trade_no   TEXT   NOT NULL,
    amount_fen     BIGINT NOT NULL CHECK (amount_fen > 0),
    currency       TEXT   NOT NULL,
    frozen_request TEXT   NOT NULL,
    frozen_sha256  TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    prepay_id      TEXT,
    prepay_until_ms BIGINT,
    rejected_code  TEXT,
    transaction_id TEXT,
    succeeded_ms   BIGINT,
    created_ms     BIGINT NOT NULL,
    updated_ms     BIGINT NOT NULL,
    UNIQUE (mchid, out_trade_no)
);
CREATE INDEX payment_order ON payment (order_id, created_ms);
-- At most one payment of an order can still take money.
CREATE UNIQUE INDEX payment_live ON payment (order_id) WHERE state IN ('submitting', 'awaiting', 'closing');

-- What WeChat told us, append-only; copies of one message are counted. The raw bytes are sealed.
CREATE TABLE evidence (
    id             TEXT   PRIMARY KEY,
    payment_id     TEXT   REFERENCES payment (id),
    mchid          TEXT   NOT NULL,
    out_trade_no   TEXT,
    source         TEXT   NOT NULL,
    verified_by    TEXT   NOT NULL,
    verdict        TEXT   NOT NULL,
    reason         TEXT,
    trade_state    TEXT,
    total_fen      BIGINT,
    transaction_id TEXT,
    wechat_ms      BIGINT,
    received_ms    BIGINT NOT NULL,
    copies         BIGINT NOT NULL,
    raw_sha256     TEXT   NOT NULL,
    raw_sealed     BYTES  NOT NULL,
    request_id     TEXT,
    UNIQUE (mchid, source, raw_sha256)
);
CREATE INDEX evidence_payment ON evidence (payment_id, received_ms);

-- What a person has to look at, once for each reason.
CREATE TABLE attention (
    id          TEXT   PRIMARY KEY,
    subject     TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    detail      TEXT   NOT NULL,
    created_ms  BIGINT NOT NULL,
    resolved_ms BIGINT,
    UNIQUE (subject, reason)
);

-- Work for later, written in the transaction of its cause. One job for each kind and subject.
CREATE TABLE job (
    kind        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    run_ms      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    leased_ms   BIGINT NOT NULL,
    fence       BIGINT NOT NULL,
    last_error  TEXT,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX job_due ON job (run_ms);

CREATE TABLE access_token (
    appid        TEXT   PRIMARY KEY,
    token_sealed BYTES  NOT NULL,
    expires_ms   BIGINT NOT NULL
);
