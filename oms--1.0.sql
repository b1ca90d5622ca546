\echo Use "CREATE EXTENSION oms" to load this file. \quit

-- oms: an order management system inside PostgreSQL.
--
-- An application changes an order by calling one function in its own transaction. The function checks the request against the order's state,
-- changes the row, and appends what happened to the log, oms.event. If the transaction commits, everything that follows from the change
-- happens, once and in order; if it rolls back, nothing did.
--
-- The chapters stand in the order of the rooms in src/:
--   1  the order machine: states and transitions as data
--   2  the log: events, streams, topics
--   3  readers: cursors, outbox, dead letters
--   4  idempotency: one key, one effect
--   5  orders and their items
--   6  timers and tasks: what is due, and work for workers
--   7  sagas
--   8  stock and reservations
--   9  payments and the ledger
--  10  shipments
--  11  audit
--  12  commands
--  13  queries
--  14  reading the log
--  15  dead letters
--  16  operators: integrity, purge, errors
--  17  who may call what
--  18  what a dump must contain
--
-- Applications hold EXECUTE on functions and no right on any table. The functions are C++ (src/api/, one verb per file); they write the tables
-- directly and need no rights of the caller's for it.

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 1  The order machine
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE TABLE oms.order_status (
    status      text COLLATE "C" PRIMARY KEY CHECK (status ~ '^[a-z][a-z0-9_]{0,31}$'),
    is_final    boolean NOT NULL DEFAULT false,
    builtin     boolean NOT NULL DEFAULT false,
    description text
);
COMMENT ON TABLE oms.order_status IS 'The states of an order. Add rows for states of your own; the built-in ones are protected.';

CREATE TABLE oms.order_transition (
    from_status     text COLLATE "C" NOT NULL REFERENCES oms.order_status (status),
    action          text COLLATE "C" NOT NULL CHECK (action ~ '^[a-z][a-z0-9_]{0,31}$'),
    to_status       text COLLATE "C" NOT NULL REFERENCES oms.order_status (status),
    blocked_by_hold boolean NOT NULL DEFAULT false,
    effect          text COLLATE "C" NOT NULL DEFAULT 'none' CHECK (effect IN ('none', 'pay_in_full', 'refund_rest')),
    event_type      text COLLATE "C" NOT NULL CHECK (event_type ~ '^[a-z][a-z0-9_.]{0,63}$'),
    builtin         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (from_status, action)
);
COMMENT ON TABLE oms.order_transition IS
    'What may happen to an order: from a status, by an action, to a status. Read by every session once and again when it changes.';

INSERT INTO oms.order_status (status, is_final, builtin, description) VALUES
    ('pending',   false, true, 'created; nothing is held'),
    ('reserved',  false, true, 'every item is reserved'),
    ('paid',      false, true, 'the total is captured'),
    ('confirmed', false, true, 'the reservation is consumed'),
    ('shipped',   false, true, 'the last open quantity has a shipment'),
    ('completed', false, true, 'delivered; only refunds and disputes remain'),
    ('canceled',  true,  true, 'nothing is held any more'),
    ('refunded',  true,  true, 'all that was paid is refunded');

INSERT INTO oms.order_transition (from_status, action, to_status, blocked_by_hold, effect, event_type, builtin) VALUES
    ('pending',   'reserve',  'reserved',  true,  'none',        'order.reserved',  true),
    ('pending',   'cancel',   'canceled',  false, 'none',        'order.canceled',  true),
    ('reserved',  'pay',      'paid',      true,  'pay_in_full', 'order.paid',      true),
    ('reserved',  'cancel',   'canceled',  false, 'none',        'order.canceled',  true),
    ('paid',      'confirm',  'confirmed', false, 'none',        'order.confirmed', true),
    ('paid',      'cancel',   'canceled',  false, 'refund_rest', 'order.canceled',  true),
    ('paid',      'refund',   'refunded',  false, 'refund_rest', 'order.refunded',  true),
    ('confirmed', 'ship',     'shipped',   true,  'none',        'order.shipped',   true),
    ('confirmed', 'cancel',   'canceled',  false, 'refund_rest', 'order.canceled',  true),
    ('confirmed', 'refund',   'refunded',  false, 'refund_rest', 'order.refunded',  true),
    ('shipped',   'complete', 'completed', false, 'none',        'order.completed', true),
    ('shipped',   'refund',   'refunded',  false, 'refund_rest', 'order.refunded',  true),
    ('completed', 'refund',   'refunded',  false, 'refund_rest', 'order.refunded',  true);

-- Refuses any change to a built-in row, and tells every session that the rules changed.
CREATE FUNCTION oms.order_rules_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_order_rules_changed';
COMMENT ON FUNCTION oms.order_rules_changed() IS 'Trigger: protects built-in states and transitions and announces changes to all sessions.';

CREATE TRIGGER protect_builtin BEFORE INSERT OR UPDATE OR DELETE ON oms.order_status
    FOR EACH ROW EXECUTE FUNCTION oms.order_rules_changed();
CREATE TRIGGER protect_builtin BEFORE INSERT OR UPDATE OR DELETE ON oms.order_transition
    FOR EACH ROW EXECUTE FUNCTION oms.order_rules_changed();
CREATE TRIGGER protect_builtin_truncate BEFORE TRUNCATE ON oms.order_status
    FOR EACH STATEMENT EXECUTE FUNCTION oms.order_rules_changed();
CREATE TRIGGER protect_builtin_truncate BEFORE TRUNCATE ON oms.order_transition
    FOR EACH STATEMENT EXECUTE FUNCTION oms.order_rules_changed();

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 2  The log
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- Ids are drawn by C++ one at a time, after the transaction has its xid. A reader that notes the sequence's value and then the next xid therefore
-- knows that transactions from that xid on will draw higher ids: the bound from which its next read has to look. Never cache this sequence.
CREATE SEQUENCE oms.event_id_seq AS bigint CACHE 1;

CREATE TABLE oms.event (
    id             bigint NOT NULL,
    xid            xid8 NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    seq            bigint NOT NULL,
    type           text COLLATE "C" NOT NULL,
    topic          text COLLATE "C",
    key            text COLLATE "C",
    payload        jsonb NOT NULL,
    headers        jsonb NOT NULL,
    occurred_at    timestamptz NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
COMMENT ON TABLE oms.event IS
    'The log: the only place where "something happened" is written. It only grows. topic NULL means: for the timeline, not for delivery.';
COMMENT ON COLUMN oms.event.xid IS 'The top-level transaction that wrote the event; what readers compare with their snapshots.';
COMMENT ON COLUMN oms.event.seq IS 'Number within the aggregate, from 1, without gaps.';

CREATE TABLE oms.event_default PARTITION OF oms.event DEFAULT;
-- Cannot be declared on the parent, whose partition key it lacks; each partition has its own.
CREATE UNIQUE INDEX event_default_seq ON oms.event_default (aggregate_id, seq, aggregate_type);

CREATE FUNCTION oms.log_only_grows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_log_only_grows';
COMMENT ON FUNCTION oms.log_only_grows() IS 'Trigger: refuses UPDATE, DELETE and TRUNCATE of the log.';

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON oms.event FOR EACH ROW EXECUTE FUNCTION oms.log_only_grows();
CREATE TRIGGER only_grows_truncate BEFORE TRUNCATE ON oms.event FOR EACH STATEMENT EXECUTE FUNCTION oms.log_only_grows();
-- A statement's trigger is not handed down to partitions, as a row's is.
CREATE TRIGGER only_grows_truncate BEFORE TRUNCATE ON oms.event_default FOR EACH STATEMENT EXECUTE FUNCTION oms.log_only_grows();

CREATE TABLE oms.topic_route (
    aggregate_type text COLLATE "C" NOT NULL,
    type           text COLLATE "C" NOT NULL DEFAULT '*',
    topic          text COLLATE "C" CHECK (topic ~ '^[A-Za-z0-9._-]{1,249}$'),
    builtin        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (aggregate_type, type, builtin)
);
COMMENT ON TABLE oms.topic_route IS
    'Which topic an event goes to: the row for its type, else the one for "*"; of two, your own before the built-in one. NULL, or no row: it stays in the log only.';
INSERT INTO oms.topic_route (aggregate_type, type, topic, builtin) VALUES ('order', '*', 'oms.order.events', true);

CREATE FUNCTION oms.topic_routes_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_topic_routes_changed';
COMMENT ON FUNCTION oms.topic_routes_changed() IS 'Trigger: protects built-in routes and announces changes to all sessions.';
CREATE TRIGGER protect_builtin BEFORE INSERT OR UPDATE OR DELETE ON oms.topic_route
    FOR EACH ROW EXECUTE FUNCTION oms.topic_routes_changed();

CREATE TABLE oms.stream (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    first_event_id bigint NOT NULL,
    last_event_id  bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (aggregate_id, aggregate_type)
) WITH (fillfactor = 80);
COMMENT ON TABLE oms.stream IS 'The head of every stream written by append_events: its version, and where in the log it begins and ends.';

-- Whoever sleeps holds a SHARE lock on this view, and shows up in it; producers take ROW EXCLUSIVE on it while they commit (src/log/doorbell.cpp).
CREATE VIEW oms.doorbell AS
    SELECT l.pid, a.application_name, a.state_change AS since
      FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)
     WHERE l.locktype = 'relation' AND l.mode = 'ShareLock' AND l.granted
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
       AND l.relation = (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                          WHERE n.nspname = 'oms' AND c.relname = 'doorbell');
COMMENT ON VIEW oms.doorbell IS 'The relays that sleep now, to be woken by the next commit with something to deliver.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 3  Readers: who reads the log, how far, and what could not be delivered
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- Several rows of one life come from transactions that began it at the same time; they agree.
CREATE TABLE oms.log_life (
    life              integer NOT NULL CHECK (life > 0),
    system_identifier bigint NOT NULL,
    first_event_id    bigint NOT NULL,
    xid               xid8 NOT NULL,
    recorded_at       timestamptz NOT NULL,
    PRIMARY KEY (life, xid)
);
COMMENT ON TABLE oms.log_life IS
    'Which cluster wrote the events from which id on. A restored dump or an upgraded cluster begins a new life: older xids do not compare with its own.';

CREATE TABLE oms.reader (
    name           text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9._-]{1,63}$'),
    topics         text[] COLLATE "C",
    start_at       text NOT NULL CHECK (start_at IN ('beginning', 'now')),
    start_life     integer NOT NULL,
    start_snapshot pg_snapshot NOT NULL,
    created_at     timestamptz NOT NULL
);
COMMENT ON TABLE oms.reader IS 'Who reads the log. topics NULL: every event that has one; {*}: also those that have none.';
COMMENT ON COLUMN oms.reader.start_snapshot IS 'What this shows of start_life, and all older lives, is not for the reader.';

-- Rows are added at one end and deleted at the other, one for one. The newest is the last in the index, so dead rows that another session's
-- snapshot keeps are never visited.
CREATE TABLE oms.reader_position (
    reader        text COLLATE "C" NOT NULL,
    generation    bigint NOT NULL,
    life          integer NOT NULL,
    from_snapshot pg_snapshot NOT NULL,
    from_xid      xid8 NOT NULL,
    from_id       bigint NOT NULL,
    from_bounds   bigint[] NOT NULL,
    to_snapshot   pg_snapshot,
    to_xid        xid8,
    to_id         bigint,
    to_bounds     bigint[],
    page_id       bigint,
    passed_id     bigint NOT NULL,
    committed_at  timestamptz NOT NULL,
    PRIMARY KEY (reader, generation)
);
COMMENT ON TABLE oms.reader_position IS
    'Where readers stand; the highest generation counts. What from_snapshot shows has been read, and up to page_id what to_snapshot shows.';
COMMENT ON COLUMN oms.reader_position.from_bounds IS
    'Lower bounds of the ids of what the snapshot does not show: one for each xid in its list, one for those from its xmax up to from_xid. From there on from_id bounds them.';
COMMENT ON COLUMN oms.reader_position.passed_id IS 'Nothing up to this id is still to be read.';

CREATE TABLE oms.topic_policy (
    topic     text COLLATE "C" PRIMARY KEY CHECK (topic ~ '^[A-Za-z0-9._-]{1,249}$'),
    on_reject text COLLATE "C" NOT NULL DEFAULT 'skip' CHECK (on_reject IN ('skip', 'block_key')),
    receipts  boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE oms.topic_policy IS
    'What happens to the later events of a key when one is rejected (skip: they go on, block_key: they are parked behind it), and whether receipts are kept.';

CREATE TABLE oms.dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reader         text COLLATE "C" NOT NULL,
    event_id       bigint NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    topic          text COLLATE "C",
    key            text COLLATE "C",
    error          text NOT NULL,
    attempts       integer NOT NULL,
    status         text COLLATE "C" NOT NULL CHECK (status IN ('failed', 'replaying', 'sent', 'discarded', 'parked')),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    UNIQUE (reader, event_id)
);
COMMENT ON TABLE oms.dead_letter IS
    'Events that could not be delivered through their own fault, and those parked behind them. The event itself stays in the log, unchanged.';
CREATE INDEX dead_letter_open ON oms.dead_letter (reader, topic, key, event_id) WHERE status IN ('failed', 'replaying', 'parked');

CREATE TABLE oms.replay_attempt (
    attempt_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dead_letter_id bigint NOT NULL REFERENCES oms.dead_letter,
    not_before     timestamptz NOT NULL,
    requested_at   timestamptz NOT NULL,
    requested_by   text NOT NULL,
    actor          text,
    reason         text NOT NULL,
    taken_at       timestamptz,
    settled_at     timestamptz,
    ok             boolean,
    error          text
);
COMMENT ON TABLE oms.replay_attempt IS 'Every attempt to deliver a dead letter again: who asked for it and why, and what became of it.';
CREATE UNIQUE INDEX replay_attempt_open ON oms.replay_attempt (dead_letter_id) WHERE settled_at IS NULL;

CREATE TABLE oms.receipt (
    event_id    bigint NOT NULL,
    reader      text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    broker_time timestamptz,
    PRIMARY KEY (event_id, reader, topic, partition, "offset")
) PARTITION BY RANGE (event_id);
COMMENT ON TABLE oms.receipt IS 'Where each event arrived, for topics whose policy keeps receipts. Two rows for one event: it was delivered twice.';
CREATE TABLE oms.receipt_default PARTITION OF oms.receipt DEFAULT;

CREATE VIEW oms.parked_keys AS
    SELECT d.reader, d.topic, d.key,
           count(*) FILTER (WHERE d.status = 'parked') AS parked,
           min(d.event_id) FILTER (WHERE d.status <> 'parked') AS blocked_by,
           min(d.created_at) AS since,
           now() - min(d.created_at) AS age
    FROM oms.dead_letter d LEFT JOIN oms.topic_policy p ON p.topic = d.topic
    WHERE d.status IN ('failed', 'replaying', 'parked')
    GROUP BY d.reader, d.topic, d.key
    HAVING bool_or(d.status = 'parked' OR p.on_reject = 'block_key');
COMMENT ON VIEW oms.parked_keys IS 'Keys whose events wait behind a dead letter: how many, behind which event, since when.';

-- Three parts that a condition on the status can choose among: what has a dead letter, what may still be unread, and everything before that.
CREATE VIEW oms.outbox AS
    WITH at AS (
        SELECT n.reader, r.topics, r.start_snapshot, s.first_id AS start_first, s.next_id AS start_next,
               coalesce(p.passed_id, 0) AS passed_id, p.page_id, p.from_snapshot, p.to_snapshot, l.first_id, l.next_id
        FROM (SELECT coalesce(nullif(current_setting('oms.outbox_reader', true), ''), 'kafka') AS reader) n
        LEFT JOIN oms.reader r ON r.name = n.reader
        LEFT JOIN LATERAL (SELECT * FROM oms.reader_position p WHERE p.reader = r.name ORDER BY p.generation DESC LIMIT 1) p ON true
        LEFT JOIN LATERAL (SELECT min(first_event_id) FILTER (WHERE life = r.start_life) AS first_id,
                                  coalesce(min(first_event_id) FILTER (WHERE life > r.start_life), 9223372036854775807) AS next_id
                           FROM oms.log_life) s ON true
        LEFT JOIN LATERAL (SELECT min(first_event_id) FILTER (WHERE life = p.life) AS first_id,
                                  coalesce(min(first_event_id) FILTER (WHERE life > p.life), 9223372036854775807) AS next_id
                           FROM oms.log_life) l ON true)
    SELECT e.id, e.topic, e.key, e.type, e.payload, e.headers,
           CASE WHEN d.status = 'sent' THEN 'sent' WHEN d.status IN ('failed', 'discarded') THEN 'failed' ELSE 'pending' END AS status,
           d.attempts, CASE WHEN d.status <> 'sent' THEN d.error END AS error, e.occurred_at AS created_at,
           coalesce((SELECT max(c.broker_time) FROM oms.receipt c WHERE c.event_id = e.id AND c.reader = d.reader),
                    CASE WHEN d.status = 'sent' THEN d.updated_at END) AS sent_at
    FROM oms.dead_letter d JOIN oms.event e ON e.id = d.event_id
    WHERE d.reader = (SELECT reader FROM at) AND e.topic IS NOT NULL
UNION ALL
    SELECT e.id, e.topic, e.key, e.type, e.payload, e.headers,
           CASE WHEN s.sent THEN 'sent' ELSE 'pending' END, CASE WHEN s.sent THEN 1 ELSE 0 END, NULL, e.occurred_at,
           CASE WHEN s.sent THEN (SELECT max(c.broker_time) FROM oms.receipt c WHERE c.event_id = e.id AND c.reader = at.reader) END
    FROM at, oms.event e,
         LATERAL (SELECT coalesce(e.id < at.first_id
                                  OR e.id < at.next_id AND (pg_visible_in_snapshot(e.xid, at.from_snapshot)
                                                            OR e.id <= at.page_id AND pg_visible_in_snapshot(e.xid, at.to_snapshot)),
                                  false) AS sent) s
    -- The second bound excludes nothing. With both, the planner takes it for a short range, which it is, whatever the statistics say.
    WHERE e.id > (SELECT passed_id FROM at) AND e.id < 9223372036854775807 AND e.topic IS NOT NULL
      AND (at.topics IS NULL OR at.topics = '{*}' OR e.topic = ANY (at.topics))
      AND NOT coalesce(e.id < at.start_first OR e.id < at.start_next AND pg_visible_in_snapshot(e.xid, at.start_snapshot), false)
      AND NOT EXISTS (SELECT FROM oms.dead_letter d WHERE d.reader = at.reader AND d.event_id = e.id)
UNION ALL
    SELECT e.id, e.topic, e.key, e.type, e.payload, e.headers, 'sent', 1, NULL, e.occurred_at,
           (SELECT max(c.broker_time) FROM oms.receipt c WHERE c.event_id = e.id AND c.reader = at.reader)
    FROM at, oms.event e
    WHERE e.id <= (SELECT passed_id FROM at) AND e.topic IS NOT NULL
      AND (at.topics IS NULL OR at.topics = '{*}' OR e.topic = ANY (at.topics))
      AND NOT coalesce(e.id < at.start_first OR e.id < at.start_next AND pg_visible_in_snapshot(e.xid, at.start_snapshot), false)
      AND NOT EXISTS (SELECT FROM oms.dead_letter d WHERE d.reader = at.reader AND d.event_id = e.id);
COMMENT ON VIEW oms.outbox IS
    'The deliverable events as the relay sees them, with a status that follows from its cursor and the dead letters. oms.outbox_reader names the relay''s reader.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 4  Idempotency
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- One row for each command that took effect, written in its transaction; and one with an empty answer for each that was queued: its key is taken, and not
-- yet answered. Uniqueness comes from a lock on the key and a probe of the partitions, not from a unique index, so that expiry can be the drop of a
-- partition.
CREATE TABLE oms.idempotency_key (
    key_hash    bigint NOT NULL,
    created_at  timestamptz NOT NULL,
    fingerprint uuid NOT NULL,
    operation   text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    answer      bytea NOT NULL
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.idempotency_key IS 'Answers by idempotency key, kept for oms.idempotency_ttl and given again to a repeated request.';
CREATE INDEX idempotency_key_hash ON oms.idempotency_key (key_hash);
CREATE TABLE oms.idempotency_key_default PARTITION OF oms.idempotency_key DEFAULT;

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 5  Orders
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- No index contains a column that changes in an order's life, so that every update stays on its page (HOT).
CREATE TABLE oms.orders (
    order_id       uuid NOT NULL,
    customer_id    text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    on_hold        boolean NOT NULL,
    hold_reason    text,
    pending_action text COLLATE "C",
    currency       text COLLATE "C" NOT NULL,
    total_minor    bigint NOT NULL,
    paid_minor     bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    version        integer NOT NULL,
    external_ref   text,
    metadata       jsonb,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    last_seq       bigint NOT NULL,
    first_event_id bigint NOT NULL,
    last_event_id  bigint NOT NULL,
    PRIMARY KEY (order_id, created_at),
    CONSTRAINT orders_money CHECK (total_minor >= 0 AND refunded_minor >= 0 AND refunded_minor <= paid_minor)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.orders IS 'One row for each order. created_at is the time in order_id, so that an id alone leads to one partition.';
CREATE INDEX orders_customer ON oms.orders (customer_id, order_id);
CREATE TABLE oms.orders_default PARTITION OF oms.orders DEFAULT WITH (fillfactor = 80);

CREATE TABLE oms.order_item (
    order_id    uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    line_no     integer NOT NULL,
    sku         text COLLATE "C" NOT NULL,
    qty         bigint NOT NULL,
    price_minor bigint NOT NULL,
    details     jsonb,
    PRIMARY KEY (order_id, line_no, created_at),
    CONSTRAINT order_item_amounts CHECK (qty > 0 AND price_minor >= 0)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.order_item IS 'The lines of an order. created_at is the order''s; details holds what the caller gave beyond sku, qty and price_minor.';
CREATE TABLE oms.order_item_default PARTITION OF oms.order_item DEFAULT;

CREATE TYPE oms.order_state AS (
    order_id       uuid,
    status         text,
    version        integer,
    customer_id    text,
    currency       text,
    total_minor    bigint,
    paid_minor     bigint,
    refunded_minor bigint,
    on_hold        boolean,
    pending_action text,
    created_at     timestamptz,
    updated_at     timestamptz,
    replayed       boolean
);
COMMENT ON TYPE oms.order_state IS 'The answer of every order command. replayed: the answer was given before, nothing happened now.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 6  Timers and tasks
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE SEQUENCE oms.timer_id_seq AS bigint CACHE 1;

CREATE TABLE oms.timer (
    timer_id   bigint NOT NULL,
    kind       integer NOT NULL,
    subject_id bigint NOT NULL,
    due_at     timestamptz NOT NULL,
    data       jsonb,
    failures   integer NOT NULL,
    last_error text,
    failing_since timestamptz,
    PRIMARY KEY (kind, due_at, timer_id)
);
COMMENT ON TABLE oms.timer IS 'Everything that is due at a time; a row is gone when it was done. failures, last_error and failing_since: why it is still there.';
COMMENT ON COLUMN oms.timer.kind IS
    '1 lease, 2 lease that ends with its session, 3 retry of a task, 4 step deadline, 5 step retry, 6 saga deadline, 7 capture, 8 order expiry, 9 reservation expiry, 10 purge, 11 lease whose end a saga or payment is told, 12 task that is published, 13 queued commands of an order';
CREATE INDEX timer_subject ON oms.timer (kind, subject_id);

-- Numbers for tasks and for their places in the queues, drawn after the transaction has its xid: a claimer that notes the sequence's value and then
-- the next xid knows what may still appear behind the place it has reached. Never cache this sequence.
CREATE SEQUENCE oms.task_id_seq AS bigint CACHE 1;

-- The columns of the indexes do not change when a task is claimed and answered, so both stay on the page if it has room: for a batch, room for a
-- second version of every row. Measured with batches of 100: 74,000 tasks a second at fillfactor 70, 83,000 at 50, 102,000 at 40.
CREATE TABLE oms.task (
    task_id      bigint NOT NULL PRIMARY KEY,
    queue        text COLLATE "C" NOT NULL,
    priority     integer NOT NULL,
    position     bigint,
    status       text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    payload      jsonb NOT NULL,
    run_at       timestamptz NOT NULL,
    attempt      integer NOT NULL,
    retry        jsonb,
    deadline_at  timestamptz,
    step_id      bigint,
    provider_key text COLLATE "C",
    lease_epoch  bigint NOT NULL,
    lease_until  timestamptz,
    lease_owner  bigint,
    in_doubt     boolean NOT NULL DEFAULT false,
    last_error   text,
    result       jsonb,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
) WITH (fillfactor = 40);
COMMENT ON TABLE oms.task IS 'Work for workers: ready -> leased -> done, or ready again, or dead.';
COMMENT ON COLUMN oms.task.position IS 'Its place among the ready tasks of its queue and priority; NULL while run_at has not come.';
COMMENT ON COLUMN oms.task.lease_epoch IS 'The last lease; it grows with every lease, not by one.';
CREATE INDEX task_queue ON oms.task (queue, priority, position);

CREATE TABLE oms.task_front (
    queue     text COLLATE "C" NOT NULL,
    priority  integer NOT NULL,
    position  bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    PRIMARY KEY (queue, priority)
) WITH (fillfactor = 30);
COMMENT ON TABLE oms.task_front IS 'Below position no task of the queue and priority can be claimed any more: where claimers begin to look. Written about once a second.';

CREATE TABLE oms.task_owner (
    queue text COLLATE "C" NOT NULL,
    owner bigint NOT NULL,
    PRIMARY KEY (queue, owner)
);
COMMENT ON TABLE oms.task_owner IS 'Sessions whose leases end with them, by the name whose lock they hold.';

CREATE TABLE oms.task_running (
    task_id     bigint PRIMARY KEY,
    queue       text COLLATE "C" NOT NULL,
    lease_epoch bigint NOT NULL
);
COMMENT ON TABLE oms.task_running IS 'The leases of queues with a limit; those that are over go with the next claim.';
CREATE INDEX task_running_queue ON oms.task_running (queue);

CREATE TABLE oms.queue (
    queue        text COLLATE "C" PRIMARY KEY CHECK (octet_length(queue) BETWEEN 1 AND 100),
    paused       boolean NOT NULL DEFAULT false,
    lease        interval NOT NULL DEFAULT '30 seconds' CHECK (lease BETWEEN interval '100 milliseconds' AND interval '24 hours'),
    publish      boolean NOT NULL DEFAULT false CHECK (NOT publish OR queue ~ '^[A-Za-z0-9._-]+$'),
    leased_max   integer CHECK (leased_max BETWEEN 1 AND 100000),
    attempts_max integer NOT NULL DEFAULT 25 CHECK (attempts_max BETWEEN 1 AND 1000),
    base_ms      bigint NOT NULL DEFAULT 1000 CHECK (base_ms BETWEEN 0 AND 31536000000),
    factor       double precision NOT NULL DEFAULT 2 CHECK (factor BETWEEN 1 AND 100),
    cap_ms       bigint NOT NULL DEFAULT 300000 CHECK (cap_ms BETWEEN 0 AND 31536000000),
    jitter       double precision NOT NULL DEFAULT 0.2 CHECK (jitter BETWEEN 0 AND 1),
    keep_done    interval NOT NULL DEFAULT '1 day' CHECK (keep_done >= interval '0'),
    CONSTRAINT queue_published_without_limit CHECK (NOT publish OR leased_max IS NULL)
);
COMMENT ON TABLE oms.queue IS 'Settings of queues. A queue without a row has these defaults; it comes into being with its first task.';
COMMENT ON COLUMN oms.queue.publish IS 'Its tasks are given out over the topic oms.commands.<queue>, by the clock, instead of to whoever claims.';
COMMENT ON COLUMN oms.queue.leased_max IS 'How many of its tasks may be under lease at a time; NULL: any number.';

CREATE FUNCTION oms.queues_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_queues_changed';
COMMENT ON FUNCTION oms.queues_changed() IS 'Trigger: announces changed queues to all sessions.';
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON oms.queue
    FOR EACH ROW EXECUTE FUNCTION oms.queues_changed();

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 7  Sagas
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE TABLE oms.saga_definition (
    name       text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
    version    integer NOT NULL CHECK (version > 0),
    definition jsonb NOT NULL,
    owner      regrole NOT NULL,
    builtin    boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (name, version)
);
COMMENT ON TABLE oms.saga_definition IS 'What sagas consist of. A version never changes; a saga stays with the version it was started with.';
COMMENT ON COLUMN oms.saga_definition.owner IS 'Who registered it: the functions it names are called as this role, and nobody else may add versions.';

CREATE FUNCTION oms.saga_definition_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_saga_definition_changed';
COMMENT ON FUNCTION oms.saga_definition_changed() IS 'Trigger: definitions are added and never changed; announces new ones to all sessions.';
CREATE TRIGGER only_added BEFORE INSERT OR UPDATE OR DELETE ON oms.saga_definition
    FOR EACH ROW EXECUTE FUNCTION oms.saga_definition_changed();

CREATE SEQUENCE oms.saga_id_seq AS bigint CACHE 1;

-- No index contains a column that changes in a saga's life, so that every update stays on its page if that has room. Answers come in batches, and until
-- the batch commits all versions that it wrote are needed: of a hundred sagas, their steps, payments and reservations. Measured with batches of 100: at
-- 60 to 80 every second update went to another page and into every index, and the tables with their indexes were hardly smaller.
CREATE TABLE oms.saga (
    saga_id        bigint NOT NULL PRIMARY KEY,
    definition     text COLLATE "C" NOT NULL,
    version        integer NOT NULL,
    key            text COLLATE "C",
    status         text COLLATE "C" NOT NULL,
    waits_for      text,
    deadline_at    timestamptz NOT NULL,
    wake_at        timestamptz,
    position       integer NOT NULL,
    completions    integer NOT NULL,
    signals        integer NOT NULL,
    canceled       boolean NOT NULL,
    data           jsonb NOT NULL,
    failure        text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    completed_at   timestamptz,
    last_seq       bigint NOT NULL,
    first_event_id bigint NOT NULL,
    last_event_id  bigint NOT NULL,
    CONSTRAINT saga_progress CHECK (CASE
        WHEN status IN ('completed', 'compensated') THEN finished_at IS NOT NULL
        WHEN status = 'parked' THEN waits_for IS NOT NULL
        ELSE waits_for IS NOT NULL AND wake_at IS NOT NULL END)
) WITH (fillfactor = 35);
COMMENT ON TABLE oms.saga IS 'One row for each saga. waits_for says what it waits for, wake_at when it will look by itself at the latest.';
COMMENT ON COLUMN oms.saga.position IS 'The step of the definition''s outermost level that it has come to.';
COMMENT ON COLUMN oms.saga.canceled IS 'It was turned back on request while it was running.';
COMMENT ON COLUMN oms.saga.completed_at IS 'When all its steps were done; it stays when they are undone later.';
COMMENT ON COLUMN oms.saga.signals IS 'Signals that no step has waited for yet.';
CREATE INDEX saga_key ON oms.saga (key, definition);

CREATE TABLE oms.saga_step (
    step_id        bigint NOT NULL PRIMARY KEY,
    saga_id        bigint NOT NULL,
    name           text COLLATE "C" NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    attempts       integer NOT NULL,
    task_id        bigint,
    asking         boolean NOT NULL,
    due_at         timestamptz,
    completion     integer NOT NULL,
    unknown        boolean NOT NULL,
    decided        boolean NOT NULL,
    result         jsonb,
    error          text,
    undo_attempts  integer NOT NULL,
    outcome        text COLLATE "C",
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    compensated_at timestamptz,
    CONSTRAINT saga_step_outcome CHECK ((status = 'compensated') = (outcome IS NOT NULL)),
    CONSTRAINT saga_step_due CHECK (due_at IS NOT NULL OR status NOT IN ('pending', 'running', 'waiting', 'compensating'))
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.saga_step IS 'The steps that were begun. step_id holds the saga''s id and the step''s place: steps of a saga are neighbours.';
COMMENT ON COLUMN oms.saga_step.completion IS 'Its number in the order of completion, which compensation follows backwards.';
COMMENT ON COLUMN oms.saga_step.outcome IS 'What became of its compensation: done, none (nothing to undo), by_hand, with_step (a participant, undone with its two-phase step).';

CREATE TABLE oms.saga_signal (
    signal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saga_id   bigint NOT NULL,
    name      text COLLATE "C" NOT NULL,
    payload   jsonb,
    sent_at   timestamptz NOT NULL,
    taken_by  bigint
);
COMMENT ON TABLE oms.saga_signal IS 'Signals as they were sent; taken_by is the step that has it, NULL while none waits for it.';
CREATE INDEX saga_signal_saga ON oms.saga_signal (saga_id, name);

CREATE TABLE oms.saga_counted (
    name   text COLLATE "C" NOT NULL,
    labels jsonb NOT NULL,
    value  double precision NOT NULL,
    PRIMARY KEY (name, labels)
);
COMMENT ON TABLE oms.saga_counted IS 'What the sagas that were purged count for in oms.saga_metrics.';

CREATE TABLE oms.purge_position (
    what    text COLLATE "C" PRIMARY KEY,
    next_id bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.purge_position IS 'Where the next purge of tasks or sagas goes on.';

CREATE TYPE oms.saga_state AS (
    saga_id     bigint,
    definition  text,
    version     integer,
    key         text,
    status      text,
    waits_for   text,
    deadline_at timestamptz,
    created_at  timestamptz,
    updated_at  timestamptz,
    replayed    boolean
);
COMMENT ON TYPE oms.saga_state IS 'The answer of every saga command. replayed: the answer was given before, nothing happened now.';

INSERT INTO oms.topic_route (aggregate_type, type, topic, builtin) VALUES ('saga', '*', 'oms.saga.events', true);

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 8  Stock
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- A sku is one row, or several: buyers of an item that all want at once then queue behind as many rows. No index contains a column that changes,
-- and the pages have room, so that a row that is written with every sale stays where it is.
CREATE TABLE oms.stock (
    sku        text COLLATE "C" NOT NULL,
    bucket     integer NOT NULL,
    buckets    integer NOT NULL,
    on_hand    bigint NOT NULL,
    reserved   bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (sku, bucket),
    CONSTRAINT stock_amounts CHECK (0 <= reserved AND reserved <= on_hand),
    CONSTRAINT stock_buckets CHECK (0 <= bucket AND bucket < buckets)
) WITH (fillfactor = 50);
COMMENT ON TABLE oms.stock IS 'What is on hand of each sku and what of it is reserved. A sku has one row, or a row for each of its buckets.';

CREATE SEQUENCE oms.reservation_reservation_id_seq AS bigint;
CREATE TABLE oms.reservation (
    reservation_id bigint NOT NULL,
    order_id       uuid NOT NULL,
    created_at     timestamptz NOT NULL,
    sku            text COLLATE "C" NOT NULL,
    bucket         integer NOT NULL,
    qty            bigint NOT NULL,
    status         text COLLATE "C" NOT NULL,
    reserved_at    timestamptz NOT NULL,
    expires_at     timestamptz,
    closed_at      timestamptz,
    returned_at    timestamptz,
    PRIMARY KEY (reservation_id, created_at),
    CONSTRAINT reservation_qty CHECK (qty > 0)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.reservation IS
    'Pieces of stock held for an order: reserved, then released, consumed or expired. created_at is the order''s.';
COMMENT ON COLUMN oms.reservation.returned_at IS 'When consumed pieces were put back, because the order was canceled before it was shipped.';
CREATE INDEX reservation_order ON oms.reservation (order_id);
CREATE TABLE oms.reservation_default PARTITION OF oms.reservation DEFAULT WITH (fillfactor = 50);

CREATE TYPE oms.stock_level AS (
    sku        text,
    on_hand    bigint,
    reserved   bigint,
    available  bigint,
    buckets    integer,
    updated_at timestamptz,
    replayed   boolean
);
COMMENT ON TYPE oms.stock_level IS 'The answer of the stock commands.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 9  Payments
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- payment_id and operation_id are made from the order's id: they lead to the order's partition and shard.
CREATE TABLE oms.payment (
    payment_id           uuid NOT NULL,
    order_id             uuid NOT NULL,
    created_at           timestamptz NOT NULL,
    status               text COLLATE "C" NOT NULL,
    provider             text COLLATE "C" NOT NULL,
    provider_ref         text,
    method               jsonb,
    currency             text COLLATE "C" NOT NULL,
    amount_minor         bigint NOT NULL,
    authorized_minor     bigint NOT NULL,
    captured_minor       bigint NOT NULL,
    refunded_minor       bigint NOT NULL,
    refund_pending_minor bigint NOT NULL,
    capture_due_at       timestamptz,
    capture_due_minor    bigint NOT NULL,
    reason               text,
    operation_id         uuid,
    version              integer NOT NULL,
    initiated_at         timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    last_seq             bigint NOT NULL,
    first_event_id       bigint NOT NULL,
    last_event_id        bigint NOT NULL,
    PRIMARY KEY (payment_id, created_at),
    CONSTRAINT payment_money CHECK (amount_minor > 0 AND 0 <= refunded_minor AND 0 <= refund_pending_minor
        AND refunded_minor + refund_pending_minor <= captured_minor AND captured_minor <= authorized_minor
        AND authorized_minor <= amount_minor)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.payment IS 'Payments of orders; an order may have several. created_at is the order''s.';
COMMENT ON COLUMN oms.payment.refund_pending_minor IS 'Reserved by refunds that are under way; refunded and pending together never exceed captured.';
COMMENT ON COLUMN oms.payment.operation_id IS 'The authorization, capture or void that is under way.';
CREATE INDEX payment_order ON oms.payment (order_id);
CREATE TABLE oms.payment_default PARTITION OF oms.payment DEFAULT WITH (fillfactor = 40);

CREATE TABLE oms.payment_operation (
    operation_id uuid NOT NULL,
    payment_id   uuid NOT NULL,
    order_id     uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    queue        text COLLATE "C",
    step_id      bigint,
    task_id      bigint,
    reconciles   uuid,
    reason       text,
    error        text,
    result       jsonb,
    requested_at timestamptz NOT NULL,
    closed_at    timestamptz,
    PRIMARY KEY (operation_id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.payment_operation IS
    'What was asked of a payment provider: pending, then succeeded, failed or indeterminate. operation_id is the provider''s idempotency key.';
COMMENT ON COLUMN oms.payment_operation.reason IS 'Why somebody asked for it; error is why it failed.';
COMMENT ON COLUMN oms.payment_operation.task_id IS 'What asks the provider; NULL for what an operator did by other means.';
CREATE INDEX payment_operation_payment ON oms.payment_operation (payment_id);
CREATE TABLE oms.payment_operation_default PARTITION OF oms.payment_operation DEFAULT WITH (fillfactor = 45);

CREATE TABLE oms.refund (
    refund_id    uuid NOT NULL,
    payment_id   uuid NOT NULL,
    order_id     uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    status       text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    reason       text,
    requested_at timestamptz NOT NULL,
    closed_at    timestamptz,
    PRIMARY KEY (refund_id, created_at),
    CONSTRAINT refund_amount CHECK (amount_minor > 0)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.refund IS 'Refunds of payments: pending, then done or failed. refund_id is the operation''s.';
CREATE INDEX refund_payment ON oms.refund (payment_id);
CREATE TABLE oms.refund_default PARTITION OF oms.refund DEFAULT WITH (fillfactor = 80);

CREATE TABLE oms.ledger_entry (
    operation_id uuid NOT NULL,
    line_no      smallint NOT NULL,
    payment_id   uuid NOT NULL,
    order_id     uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    account      text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (operation_id, line_no, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.ledger_entry IS
    'Money that moved, in entries that add up to zero for each operation: "customer" gives to "provider:<name>", or gets back, from there or "by_hand".';
CREATE INDEX ledger_entry_order ON oms.ledger_entry (order_id);
CREATE TABLE oms.ledger_entry_default PARTITION OF oms.ledger_entry DEFAULT;

INSERT INTO oms.topic_route (aggregate_type, type, topic, builtin) VALUES ('payment', '*', 'oms.payment.events', true);

CREATE TYPE oms.payment_state AS (
    payment_id           uuid,
    order_id             uuid,
    status               text,
    version              integer,
    currency             text,
    amount_minor         bigint,
    authorized_minor     bigint,
    captured_minor       bigint,
    refunded_minor       bigint,
    refund_pending_minor bigint,
    provider             text,
    provider_ref         text,
    reason               text,
    operation_id         uuid,
    capture_due_at       timestamptz,
    created_at           timestamptz,
    updated_at           timestamptz,
    replayed             boolean
);
COMMENT ON TYPE oms.payment_state IS 'The answer of the payment commands. operation_id: what the command began; its outcome comes later.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 10  Shipments
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- shipment_id is made from the order's id, as that of a payment.
CREATE TABLE oms.shipment (
    shipment_id    uuid NOT NULL,
    order_id       uuid NOT NULL,
    created_at     timestamptz NOT NULL,
    status         text COLLATE "C" NOT NULL,
    carrier        text,
    tracking       text,
    assignee       text,
    metadata       jsonb,
    reason         text,
    step_id        bigint,
    version        integer NOT NULL,
    requested_at   timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    shipped_at     timestamptz,
    delivered_at   timestamptz,
    last_seq       bigint NOT NULL,
    first_event_id bigint NOT NULL,
    last_event_id  bigint NOT NULL,
    PRIMARY KEY (shipment_id, created_at),
    CONSTRAINT shipment_times CHECK ((shipped_at IS NOT NULL) = (status IN ('shipped', 'delivered', 'returned'))
        AND (delivered_at IS NOT NULL) = (status = 'delivered'))
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.shipment IS 'Shipments of orders; an order may have several. created_at is the order''s.';
COMMENT ON COLUMN oms.shipment.assignee IS 'Who has it in hand: a courier, a packer, a branch.';
COMMENT ON COLUMN oms.shipment.step_id IS 'The step of a saga that made it; NULL when somebody made it by hand.';
CREATE INDEX shipment_order ON oms.shipment (order_id);
CREATE TABLE oms.shipment_default PARTITION OF oms.shipment DEFAULT WITH (fillfactor = 60);

CREATE TABLE oms.shipment_item (
    order_id    uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    shipment_id uuid NOT NULL,
    line_no     integer NOT NULL,
    sku         text COLLATE "C" NOT NULL,
    qty         bigint NOT NULL,
    PRIMARY KEY (order_id, shipment_id, line_no, created_at),
    CONSTRAINT shipment_item_qty CHECK (qty > 0)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE oms.shipment_item IS 'What a shipment carries: pieces of lines of its order. created_at is the order''s.';
CREATE TABLE oms.shipment_item_default PARTITION OF oms.shipment_item DEFAULT;

-- Under the order's key: who reads the topic of the orders gets the events of a shipment in their place in the order's story.
INSERT INTO oms.topic_route (aggregate_type, type, topic, builtin) VALUES ('shipment', '*', 'oms.order.events', true);

CREATE TYPE oms.shipment_state AS (
    shipment_id  uuid,
    order_id     uuid,
    status       text,
    version      integer,
    carrier      text,
    tracking     text,
    assignee     text,
    reason       text,
    items        jsonb,
    shipped_at   timestamptz,
    delivered_at timestamptz,
    created_at   timestamptz,
    updated_at   timestamptz,
    order_status text,
    replayed     boolean
);
COMMENT ON TYPE oms.shipment_state IS 'The answer of the shipment commands. order_status: that of the order, which the last shipment takes with it.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 11  Audit
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE TABLE oms.audit (
    audit_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    session_role text NOT NULL,
    actor        text,
    operation    text NOT NULL,
    object       text NOT NULL,
    reason       text,
    before       jsonb,
    after        jsonb
);
COMMENT ON TABLE oms.audit IS 'What operators did by force: who, to what, why, before and after.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 12  Commands
-- ---------------------------------------------------------------------------------------------------------------------------------------
-- idempotency_key and the like default to NULL only so that leaving them out gets a clear error of ours, not "function does not exist".

CREATE FUNCTION oms.create_order(customer_id text, currency text, items jsonb, idempotency_key text DEFAULT NULL,
                                 external_ref text DEFAULT NULL, metadata jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_create_order';
COMMENT ON FUNCTION oms.create_order(text, text, jsonb, text, text, jsonb) IS
    'Creates an order from items [{"sku", "qty", "price_minor", ...}, ...]; the total is the sum of qty times price.';

CREATE FUNCTION oms.create_orders(orders jsonb)
    RETURNS SETOF oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_create_orders';
COMMENT ON FUNCTION oms.create_orders(jsonb) IS
    'Creates many orders at once, all or none: [{"customer_id", "currency", "items", "idempotency_key", ...}, ...]; one answer each, in order.';

CREATE FUNCTION oms.advance_order(order_id uuid, action text, idempotency_key text DEFAULT NULL,
                                  expected_version integer DEFAULT NULL, reason text DEFAULT NULL, payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_advance_order';
COMMENT ON FUNCTION oms.advance_order(uuid, text, text, integer, text, jsonb) IS
    'Takes the transition that oms.order_transition has for the order''s status and the action.';

CREATE FUNCTION oms.cancel_order(order_id uuid, reason text, idempotency_key text DEFAULT NULL,
                                 expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_cancel_order';
COMMENT ON FUNCTION oms.cancel_order(uuid, text, text, integer) IS 'Cancels an order; what the saga order_fulfilment did for it is undone first, and until then pending_action is canceling.';

CREATE FUNCTION oms.ship_order(order_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL,
                               payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_ship_order';
COMMENT ON FUNCTION oms.ship_order(uuid, text, integer, jsonb) IS 'Marks a confirmed order as shipped, with the shipments that it has; payload goes into the event.';

CREATE FUNCTION oms.complete_order(order_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL,
                                   payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_complete_order';
COMMENT ON FUNCTION oms.complete_order(uuid, text, integer, jsonb) IS 'Marks a shipped order as completed, its shipments as delivered; payload goes into the event.';

CREATE FUNCTION oms.refund_order(order_id uuid, amount_minor bigint DEFAULT NULL, reason text DEFAULT NULL,
                                 idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_refund_order';
COMMENT ON FUNCTION oms.refund_order(uuid, bigint, text, text, integer) IS
    'Refunds a part of what was paid, or the rest when no amount is given; the order becomes refunded when nothing is left. With payments: when the provider has done it.';

CREATE FUNCTION oms.hold_order(order_id uuid, reason text, idempotency_key text DEFAULT NULL,
                               expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_hold_order';
COMMENT ON FUNCTION oms.hold_order(uuid, text, text, integer) IS 'Puts an order on hold: reserve, pay and ship are refused until it is released.';

CREATE FUNCTION oms.release_hold(order_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL,
                                 reason text DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_release_hold';
COMMENT ON FUNCTION oms.release_hold(uuid, text, integer, text) IS 'Takes the hold off an order.';

CREATE FUNCTION oms.amend_order(order_id uuid, items jsonb, idempotency_key text DEFAULT NULL,
                                expected_version integer DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_amend_order';
COMMENT ON FUNCTION oms.amend_order(uuid, jsonb, text, integer, text) IS
    'Replaces the items of an order that is not yet shipped; once it is paid, the total must stay the same.';

CREATE FUNCTION oms.force_order(order_id uuid, status text, reason text, actor text, idempotency_key text DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_force_order';
COMMENT ON FUNCTION oms.force_order(uuid, text, text, text, text) IS
    'For operators: sets an order''s status against the machine. Audited with actor and reason; moves no money.';

CREATE FUNCTION oms.append_events(aggregate_type text, aggregate_id text, expected_version bigint, events jsonb,
                                  idempotency_key text DEFAULT NULL,
                                  OUT first_id bigint, OUT last_id bigint, OUT version bigint, OUT replayed boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_append_events';
COMMENT ON FUNCTION oms.append_events(text, text, bigint, jsonb, text) IS
    'Appends [{"type", "payload", "headers", "topic", "key"}, ...] to a stream if its version is the expected one (0: new, NULL: any).';

-- Tasks: workers call these.

CREATE FUNCTION oms.create_task(queue text, kind text, payload jsonb DEFAULT '{}', idempotency_key text DEFAULT NULL,
                                run_at timestamptz DEFAULT NULL, priority integer DEFAULT 0, retry jsonb DEFAULT NULL,
                                deadline_at timestamptz DEFAULT NULL, provider_key text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_create_task';
COMMENT ON FUNCTION oms.create_task(text, text, jsonb, text, timestamptz, integer, jsonb, timestamptz, text) IS
    'Puts a task into a queue; answers its task_id. The lower the priority the sooner. retry: {"attempts_max", "base_ms", "factor", "cap_ms", "jitter"}.';

CREATE FUNCTION oms.claim_tasks(queue text, max_tasks integer DEFAULT 1, lease interval DEFAULT NULL, while_connected boolean DEFAULT false,
                                OUT task_id bigint, OUT lease_epoch bigint, OUT kind text, OUT payload jsonb, OUT attempt integer,
                                OUT lease_until timestamptz, OUT deadline_at timestamptz, OUT provider_key text, OUT step_id bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_claim_tasks';
COMMENT ON FUNCTION oms.claim_tasks(text, integer, interval, boolean) IS
    'Leases up to max_tasks ready tasks; waits for nobody, except that claims of a queue with leased_max take turns. while_connected: the lease also ends when this session does. Answer each under its lease_epoch.';

CREATE FUNCTION oms.complete_task(task_id bigint, lease_epoch bigint, result jsonb DEFAULT NULL,
                                  OUT status text, OUT replayed boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_complete_task';
COMMENT ON FUNCTION oms.complete_task(bigint, bigint, jsonb) IS
    'Says that a leased task is done. The same answer again is replayed; any other to a lease that is over is task_lease_lost.';

CREATE FUNCTION oms.complete_tasks(task_ids bigint[], lease_epochs bigint[], results jsonb DEFAULT NULL,
                                   OUT task_id bigint, OUT outcome text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_complete_tasks';
COMMENT ON FUNCTION oms.complete_tasks(bigint[], bigint[], jsonb) IS
    'Answers many tasks at once; each has its outcome: done, replayed or lease_lost. results: an array with one element for each task.';

CREATE FUNCTION oms.fail_task(task_id bigint, lease_epoch bigint, error text, retryable boolean DEFAULT true,
                              nothing_done boolean DEFAULT false)
    RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fail_task';
COMMENT ON FUNCTION oms.fail_task(bigint, bigint, text, boolean, boolean) IS
    'Says that a leased task failed. It is ready again after its backoff, or dead: when it is not retryable, has no attempt left, or would pass its deadline. nothing_done: for sure; otherwise only one that is not retryable says so.';

CREATE FUNCTION oms.heartbeat_task(task_id bigint, lease_epoch bigint, lease interval DEFAULT NULL)
    RETURNS timestamptz
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_heartbeat_task';
COMMENT ON FUNCTION oms.heartbeat_task(bigint, bigint, interval) IS 'Prolongs a lease, counted from now, never shortens it; answers until when it lasts.';

CREATE FUNCTION oms.tasks_arm(queue text) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_tasks_arm';
COMMENT ON FUNCTION oms.tasks_arm(text) IS
    'Before sleeping on LISTEN oms_tasks, in a transaction of its own; claim once more behind it. False: somebody is just committing tasks.';
CREATE FUNCTION oms.tasks_disarm(queue text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_tasks_disarm';
COMMENT ON FUNCTION oms.tasks_disarm(text) IS 'The first thing after waking.';

CREATE FUNCTION oms.run_due("limit" integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_run_due';
COMMENT ON FUNCTION oms.run_due(integer) IS 'Does what is due, up to limit timers; answers how many were done. What fails stays in oms.timer with its error and is tried again.';
CREATE FUNCTION oms.next_due() RETURNS timestamptz
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_next_due';
COMMENT ON FUNCTION oms.next_due() IS 'When the next timer is due. A clock sleeps until then, never longer than 10 seconds.';
CREATE FUNCTION oms.clock_arm() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_clock_arm';
COMMENT ON FUNCTION oms.clock_arm() IS
    'Before sleeping on LISTEN oms_clock, in a transaction of its own; ask oms.next_due() once more behind it. False: somebody is just committing a timer.';
CREATE FUNCTION oms.clock_disarm() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_clock_disarm';
COMMENT ON FUNCTION oms.clock_disarm() IS 'The first thing after waking.';

-- Tasks: queries and operators.

CREATE FUNCTION oms.list_tasks(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                               OUT task_id bigint, OUT queue text, OUT kind text, OUT status text, OUT priority integer, OUT run_at timestamptz,
                               OUT attempt integer, OUT lease_epoch bigint, OUT lease_until timestamptz, OUT deadline_at timestamptz,
                               OUT step_id bigint, OUT provider_key text, OUT last_error text, OUT created_at timestamptz,
                               OUT updated_at timestamptz, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_tasks';
COMMENT ON FUNCTION oms.list_tasks(jsonb, text, integer) IS
    'Tasks, newest first. filter: queue, kind, status (one or several), created_from, created_to. Pass a row''s next_cursor to go on behind it.';
CREATE FUNCTION oms.get_task(task_id bigint) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_task';
COMMENT ON FUNCTION oms.get_task(bigint) IS 'One task with its payload and result.';
CREATE FUNCTION oms.replay_tasks(ids bigint[] DEFAULT NULL, filter jsonb DEFAULT NULL, "limit" integer DEFAULT 100, dry_run boolean DEFAULT true,
                                 reason text DEFAULT NULL,
                                 OUT task_id bigint, OUT queue text, OUT kind text, OUT attempt integer, OUT last_error text,
                                 OUT updated_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_replay_tasks';
COMMENT ON FUNCTION oms.replay_tasks(bigint[], jsonb, integer, boolean, text) IS
    'Makes dead tasks ready again, with a fresh count of attempts, but for those of sagas and payments; dry_run only shows which. filter: queue, kind, updated_from, updated_to. Audited.';
CREATE FUNCTION oms.cancel_task(task_id bigint, reason text) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_cancel_task';
COMMENT ON FUNCTION oms.cancel_task(bigint, text) IS 'Withdraws a task: it is dead, an answer to its lease comes too late. False: it was closed already. Audited.';
CREATE FUNCTION oms.purge_tasks(batch integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_purge_tasks';
COMMENT ON FUNCTION oms.purge_tasks(integer) IS 'Deletes up to batch tasks that are done and were kept long enough, and dead ones of sagas that were purged; answers how many.';

-- Sagas ---------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.define_saga(name text, definition jsonb) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_define_saga';
COMMENT ON FUNCTION oms.define_saga(text, jsonb) IS
    'Registers a saga in the name of the current role and answers its version; the same definition again has the version it had.';

CREATE FUNCTION oms.start_saga(definition text, data jsonb DEFAULT '{}', idempotency_key text DEFAULT NULL, key text DEFAULT NULL,
                               version integer DEFAULT NULL)
    RETURNS oms.saga_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_start_saga';
COMMENT ON FUNCTION oms.start_saga(text, jsonb, text, text, integer) IS
    'Starts a saga and takes it as far as it gets by itself. key: what the caller knows it by, an order''s id for sagas of orders.';

CREATE FUNCTION oms.signal_saga(saga_id bigint, name text, payload jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS oms.saga_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_signal_saga';
COMMENT ON FUNCTION oms.signal_saga(bigint, text, jsonb, text) IS
    'Gives a saga a signal; one that no step waits for yet is kept for the step that will.';

CREATE FUNCTION oms.cancel_saga(saga_id bigint, reason text, idempotency_key text DEFAULT NULL)
    RETURNS oms.saga_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_cancel_saga';
COMMENT ON FUNCTION oms.cancel_saga(bigint, text, text) IS 'Turns a running saga back: what was completed is compensated. For those who may start it, and for operators.';

CREATE FUNCTION oms.compensate_saga(saga_id bigint, reason text, idempotency_key text DEFAULT NULL)
    RETURNS oms.saga_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_compensate_saga';
COMMENT ON FUNCTION oms.compensate_saga(bigint, text, text) IS 'Undoes a saga of any role, completed or running. For operators.';

CREATE FUNCTION oms.resume_saga(saga_id bigint, reason text, idempotency_key text DEFAULT NULL, by_hand boolean DEFAULT false)
    RETURNS oms.saga_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_resume_saga';
COMMENT ON FUNCTION oms.resume_saga(bigint, text, text, boolean) IS
    'Lets a parked saga try its failed compensations again; with by_hand they count as done by the one who says so, for order_fulfilment on the payments as well. Audited.';

-- Stock, payments and shipments.

CREATE FUNCTION oms.set_stock(sku text, on_hand bigint, idempotency_key text DEFAULT NULL, buckets integer DEFAULT NULL,
                              reason text DEFAULT NULL)
    RETURNS oms.stock_level
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_set_stock';
COMMENT ON FUNCTION oms.set_stock(text, bigint, text, integer, text) IS
    'Sets what is on hand of a sku, which is known from then on; never below what is reserved. buckets: over how many rows it is spread.';

CREATE FUNCTION oms.adjust_stock(sku text, delta bigint, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS oms.stock_level
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_adjust_stock';
COMMENT ON FUNCTION oms.adjust_stock(text, bigint, text, text) IS 'Adds pieces to what is on hand, or with a minus takes them; never below what is reserved.';

CREATE FUNCTION oms.reserve(order_id uuid, idempotency_key text DEFAULT NULL, expires_in interval DEFAULT NULL,
                            expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_reserve';
COMMENT ON FUNCTION oms.reserve(uuid, text, interval, integer) IS
    'Reserves all items of an order or none; insufficient_stock names each that is short. expires_in: when the goods go back if nobody pays.';

CREATE FUNCTION oms.release(order_id uuid, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL,
                            expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_release';
COMMENT ON FUNCTION oms.release(uuid, text, text, integer) IS
    'Gives back what is reserved for an order; refused while the order''s money is held. Canceling and refunding an order release by themselves.';

CREATE FUNCTION oms.authorize_payment(order_id uuid, amount_minor bigint DEFAULT NULL, idempotency_key text DEFAULT NULL,
                                      provider text DEFAULT NULL, method jsonb DEFAULT NULL)
    RETURNS oms.payment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_authorize_payment';
COMMENT ON FUNCTION oms.authorize_payment(uuid, bigint, text, text, jsonb) IS
    'Begins a payment of an order: a task payment.authorize for the provider''s worker. Without an amount, all that is still open.';

CREATE FUNCTION oms.capture_payment(payment_id uuid, amount_minor bigint DEFAULT NULL, delay interval DEFAULT NULL,
                                    idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.payment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_capture_payment';
COMMENT ON FUNCTION oms.capture_payment(uuid, bigint, interval, text, integer) IS
    'Begins the capture of an authorized payment, at once or after a delay in which it can still be voided. Without an amount, all of it.';

CREATE FUNCTION oms.void_payment(payment_id uuid, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL,
                                 expected_version integer DEFAULT NULL)
    RETURNS oms.payment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_void_payment';
COMMENT ON FUNCTION oms.void_payment(uuid, text, text, integer) IS 'Begins to void an authorization that was not captured.';

CREATE FUNCTION oms.refund_payment(payment_id uuid, amount_minor bigint DEFAULT NULL, reason text DEFAULT NULL,
                                   idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.payment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_refund_payment';
COMMENT ON FUNCTION oms.refund_payment(uuid, bigint, text, text, integer) IS
    'Begins a refund of a captured payment: reserves the amount now, counts it when the provider has done it. Without an amount, the rest.';

CREATE FUNCTION oms.reconcile_payment(payment_id uuid, idempotency_key text DEFAULT NULL, outcome text DEFAULT NULL,
                                      operation_id uuid DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS oms.payment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_reconcile_payment';
COMMENT ON FUNCTION oms.reconcile_payment(uuid, text, text, uuid, text) IS
    'Lets the provider be asked what became of indeterminate operations; or, with outcome (succeeded, refused), settles one by hand.';

CREATE FUNCTION oms.create_shipment(order_id uuid, items jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL, carrier text DEFAULT NULL,
                                    tracking text DEFAULT NULL, assignee text DEFAULT NULL, metadata jsonb DEFAULT NULL,
                                    expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_create_shipment';
COMMENT ON FUNCTION oms.create_shipment(uuid, jsonb, text, text, text, text, jsonb, integer) IS
    'Makes a shipment of [{"sku" or "line_no", "qty"}, ...] of an order; without items, of all that is in no other shipment.';

CREATE FUNCTION oms.update_shipment(shipment_id uuid, idempotency_key text DEFAULT NULL, carrier text DEFAULT NULL, tracking text DEFAULT NULL,
                                    assignee text DEFAULT NULL, metadata jsonb DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_update_shipment';
COMMENT ON FUNCTION oms.update_shipment(uuid, text, text, text, text, jsonb, integer) IS
    'Writes down what is known of a shipment by now; what is left out stays.';

CREATE FUNCTION oms.ship_shipment(shipment_id uuid, idempotency_key text DEFAULT NULL, carrier text DEFAULT NULL, tracking text DEFAULT NULL,
                                  expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_ship_shipment';
COMMENT ON FUNCTION oms.ship_shipment(uuid, text, text, text, integer) IS
    'A shipment leaves the house. With the last piece of the order, the order is shipped.';

CREATE FUNCTION oms.deliver_shipment(shipment_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_deliver_shipment';
COMMENT ON FUNCTION oms.deliver_shipment(uuid, text, integer) IS
    'A shipment has arrived. With the last piece of the order, the order is completed.';

CREATE FUNCTION oms.cancel_shipment(shipment_id uuid, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL,
                                    expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_cancel_shipment';
COMMENT ON FUNCTION oms.cancel_shipment(uuid, text, text, integer) IS 'Gives up a shipment that has not left; its pieces are open again.';

CREATE FUNCTION oms.return_shipment(shipment_id uuid, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL,
                                    expected_version integer DEFAULT NULL)
    RETURNS oms.shipment_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_return_shipment';
COMMENT ON FUNCTION oms.return_shipment(uuid, text, text, integer) IS
    'A shipment came back undelivered; its pieces can be shipped anew. What goes back on the shelf is said with oms.adjust_stock.';

CREATE FUNCTION oms.purge_sagas(older_than interval DEFAULT '30 days', "limit" integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_purge_sagas';
COMMENT ON FUNCTION oms.purge_sagas(interval, integer) IS
    'Deletes up to limit sagas that ended longer ago than older_than, with their steps, signals and timers; answers how many. One whose order is not over stays.';

-- The built-in saga ----------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.pay_order(order_id uuid, idempotency_key text DEFAULT NULL, policy jsonb DEFAULT NULL, method jsonb DEFAULT NULL,
                              expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_pay_order';
COMMENT ON FUNCTION oms.pay_order(uuid, text, jsonb, jsonb, integer) IS
    'Starts the saga order_fulfilment for an order and returns at once. policy overrides oms.fulfilment_policy member by member; method is for the provider''s worker.';

CREATE TABLE oms.fulfilment_policy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    policy   jsonb NOT NULL
);
COMMENT ON TABLE oms.fulfilment_policy IS
    'What the shop has set of how orders are fulfilled, for what oms.pay_order is not told: auth_only, stock (our own), checks, verify_above_minor, capture_delay_ms, shipping, provider, queue.';
CREATE FUNCTION oms.set_fulfilment_policy(policy jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_set_fulfilment_policy';
COMMENT ON FUNCTION oms.set_fulfilment_policy(jsonb) IS 'Changes members of the policy and answers the whole of it; orders that are being paid keep theirs.';

CREATE FUNCTION oms.fulfilment_open(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_open';
COMMENT ON FUNCTION oms.fulfilment_open(jsonb) IS 'Step: takes the order.';
CREATE FUNCTION oms.fulfilment_cancel(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_cancel';
COMMENT ON FUNCTION oms.fulfilment_cancel(jsonb) IS 'Undoes what the saga did to the order: the goods go back, the order is canceled.';
CREATE FUNCTION oms.fulfilment_reserve(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_reserve';
COMMENT ON FUNCTION oms.fulfilment_reserve(jsonb) IS 'Step: reserves the goods.';
CREATE FUNCTION oms.fulfilment_authorize(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_authorize';
COMMENT ON FUNCTION oms.fulfilment_authorize(jsonb) IS 'Step: begins the authorization of the payment.';
CREATE FUNCTION oms.fulfilment_capture(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_capture';
COMMENT ON FUNCTION oms.fulfilment_capture(jsonb) IS 'Step: begins the capture.';
CREATE FUNCTION oms.fulfilment_return_money(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_return_money';
COMMENT ON FUNCTION oms.fulfilment_return_money(jsonb) IS 'Undoes a payment: voids or refunds what is held, one payment at a time.';
CREATE FUNCTION oms.fulfilment_money_returned(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_money_returned';
COMMENT ON FUNCTION oms.fulfilment_money_returned(jsonb) IS 'Undone by hand: what the order''s payments hold is recorded as returned by an operator.';
CREATE FUNCTION oms.fulfilment_pay(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_pay';
COMMENT ON FUNCTION oms.fulfilment_pay(jsonb) IS 'Step: the order is paid.';
CREATE FUNCTION oms.fulfilment_confirm(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_confirm';
COMMENT ON FUNCTION oms.fulfilment_confirm(jsonb) IS 'Step: the order is confirmed, its goods are consumed.';
CREATE FUNCTION oms.fulfilment_shipment(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_shipment';
COMMENT ON FUNCTION oms.fulfilment_shipment(jsonb) IS 'Step: the order has a shipment, which a carrier is asked for.';
CREATE FUNCTION oms.fulfilment_ask_carrier(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_ask_carrier';
COMMENT ON FUNCTION oms.fulfilment_ask_carrier(jsonb) IS 'Makes the payload of the tasks shipment.create and shipment.cancel.';
CREATE FUNCTION oms.fulfilment_shipment_created(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_shipment_created';
COMMENT ON FUNCTION oms.fulfilment_shipment_created(jsonb) IS 'The carrier has accepted the shipment: it is created.';
CREATE FUNCTION oms.fulfilment_drop_shipment(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_drop_shipment';
COMMENT ON FUNCTION oms.fulfilment_drop_shipment(jsonb) IS 'Undoes a shipment that has not left: it has failed, or is canceled.';
CREATE FUNCTION oms.fulfilment_close(context jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_fulfilment_close';
COMMENT ON FUNCTION oms.fulfilment_close(jsonb) IS 'Step: lets the order go.';

INSERT INTO oms.saga_definition (name, version, definition, owner, builtin) VALUES ('order_fulfilment', 1, '
{"subject": "order", "description": "reserve, pay, confirm; and back", "deadline_ms": 2592000000, "events": "turns", "steps": [
    {"name": "open", "kind": "sql", "function": "oms.fulfilment_open", "compensation": {"function": "oms.fulfilment_cancel", "by_hand": "oms.fulfilment_close"}},
    {"name": "checks", "kind": "conditional", "when": "$.policy.checks.size() > 0", "steps": [
        {"name": "all_checks", "kind": "parallel", "steps": [
            {"name": "if_credit", "kind": "conditional", "when": "exists($.policy.checks[*] ? (@ == \"credit\"))", "steps": [
                {"name": "credit", "kind": "task", "queue": "checks", "task": "check.credit", "deadline_ms": 10000, "compensation": null}
            ]},
            {"name": "if_fraud", "kind": "conditional", "when": "exists($.policy.checks[*] ? (@ == \"fraud\"))", "steps": [
                {"name": "fraud", "kind": "task", "queue": "checks", "task": "check.fraud", "deadline_ms": 10000, "compensation": null}
            ]},
            {"name": "if_shipping_cost", "kind": "conditional", "when": "exists($.policy.checks[*] ? (@ == \"shipping_cost\"))", "steps": [
                {"name": "shipping_cost", "kind": "task", "queue": "checks", "task": "check.shipping_cost", "deadline_ms": 10000, "compensation": null}
            ]}
        ]}
    ]},
    {"name": "if_large", "kind": "conditional", "when": "$.total_minor > $.policy.verify_above_minor", "steps": [
        {"name": "verify", "kind": "task", "queue": "checks", "task": "order.verify", "deadline_ms": 86400000, "compensation": null}
    ]},
    {"name": "reserve", "kind": "sql", "function": "oms.fulfilment_reserve", "retry": {"attempts": 3, "base_ms": 100, "factor": 2}, "compensation": {"function": "oms.fulfilment_cancel", "by_hand": "oms.fulfilment_close"}},
    {"name": "authorize", "kind": "task", "begin": "oms.fulfilment_authorize", "deadline_ms": 30000, "retry": {"attempts": 3, "base_ms": 100, "factor": 2}, "compensation": {"begin": "oms.fulfilment_return_money", "by_hand": "oms.fulfilment_money_returned", "barrier": true, "deadline_ms": 30000}},
    {"name": "if_capture", "kind": "conditional", "when": "$.policy.auth_only != true", "steps": [
        {"name": "capture_delay", "kind": "timer", "delay_path": "$.policy.capture_delay_ms"},
        {"name": "capture", "kind": "task", "begin": "oms.fulfilment_capture", "deadline_ms": 30000, "retry": {"attempts": 3, "base_ms": 100, "factor": 2}, "compensation": {"begin": "oms.fulfilment_return_money", "by_hand": "oms.fulfilment_money_returned", "barrier": true, "deadline_ms": 30000}}
    ]},
    {"name": "pay", "kind": "sql", "function": "oms.fulfilment_pay", "compensation": null},
    {"name": "confirm", "kind": "sql", "function": "oms.fulfilment_confirm", "compensation": null},
    {"name": "if_shipping", "kind": "conditional", "when": "$.policy.shipping == true", "steps": [
        {"name": "shipment", "kind": "sql", "function": "oms.fulfilment_shipment", "compensation": {"function": "oms.fulfilment_drop_shipment"}},
        {"name": "ship", "kind": "task", "queue": "shipping", "task": "shipment.create", "request": "oms.fulfilment_ask_carrier", "result": "oms.fulfilment_shipment_created", "deadline_ms": 86400000, "retry": {"attempts": 3, "base_ms": 100, "factor": 2}, "compensation": {"queue": "shipping", "task": "shipment.cancel", "request": "oms.fulfilment_ask_carrier", "barrier": true}}
    ]},
    {"name": "close", "kind": "sql", "function": "oms.fulfilment_close", "compensation": null}
]}
', current_user::regrole, true);

-- Queued commands -----------------------------------------------------------------------------------------------------------------------

CREATE TABLE oms.queued_command (
    command_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id        uuid NOT NULL,
    command         text COLLATE "C" NOT NULL,
    arguments       jsonb NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL UNIQUE,
    status          text COLLATE "C" NOT NULL CHECK (status IN ('waiting', 'done', 'refused', 'expired', 'canceled')),
    asked_by        regrole NOT NULL,
    headers         jsonb NOT NULL,
    asked_at        timestamptz NOT NULL,
    give_up_at      timestamptz NOT NULL,
    attempts        integer NOT NULL,
    error_code      text,
    error           text,
    closed_at       timestamptz,
    answer          jsonb,
    CONSTRAINT queued_command_closed CHECK ((status = 'waiting') = (closed_at IS NULL)),
    CONSTRAINT queued_command_reason CHECK (status IN ('waiting', 'done') OR error IS NOT NULL)
);
COMMENT ON TABLE oms.queued_command IS 'Commands that were asked for while another operation had their order: waiting, until the clock carries them out.';
COMMENT ON COLUMN oms.queued_command.asked_by IS 'The role that asked: the command is carried out with its rights.';
COMMENT ON COLUMN oms.queued_command.headers IS 'What oms.actor, oms.correlation_id and the like were in the session that asked.';
COMMENT ON COLUMN oms.queued_command.attempts IS 'Attempts that ended with an error which may pass; error_code and error have the last one.';
CREATE INDEX queued_command_order ON oms.queued_command (order_id);

CREATE TYPE oms.queued_state AS (
    command_id bigint,
    order_id   uuid,
    command    text,
    status     text,
    asked_at   timestamptz,
    give_up_at timestamptz,
    error_code text,
    error      text,
    answer     jsonb,
    replayed   boolean
);
COMMENT ON TYPE oms.queued_state IS 'What became of a command that may be queued. command_id is NULL when it was carried out at once; answer is what the command answered.';

CREATE FUNCTION oms.queue_command(order_id uuid, command text, arguments jsonb DEFAULT '{}', idempotency_key text DEFAULT NULL,
                                  give_up_after interval DEFAULT '1 day')
    RETURNS oms.queued_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_queue_command';
COMMENT ON FUNCTION oms.queue_command(uuid, text, jsonb, text, interval) IS
    'Carries a command out at once or, while another operation has the order, keeps it and carries it out then. arguments: the command''s own, by name. Repeated, it tells what became of it.';
CREATE FUNCTION oms.cancel_queued_command(command_id bigint, reason text) RETURNS oms.queued_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_cancel_queued_command';
COMMENT ON FUNCTION oms.cancel_queued_command(bigint, text) IS 'Takes a waiting command out of the queue. One that is closed already is answered as it is.';
CREATE FUNCTION oms.list_queued_commands(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                                         OUT command_id bigint, OUT order_id uuid, OUT command text, OUT arguments jsonb,
                                         OUT idempotency_key text, OUT status text, OUT asked_by text, OUT actor text, OUT asked_at timestamptz,
                                         OUT give_up_at timestamptz, OUT attempts integer, OUT closed_at timestamptz, OUT error_code text,
                                         OUT error text, OUT answer jsonb, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_queued_commands';
COMMENT ON FUNCTION oms.list_queued_commands(jsonb, text, integer) IS
    'Queued commands, newest first. filter: order_id, command, status (one or several), asked_from, asked_to. Pass a row''s next_cursor to go on behind it.';
CREATE FUNCTION oms.purge_queued_commands(older_than interval DEFAULT '30 days', "limit" integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_purge_queued_commands';
COMMENT ON FUNCTION oms.purge_queued_commands(interval, integer) IS 'Deletes up to limit queued commands that were closed longer ago than older_than; answers how many.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 13  Queries: STABLE, they work on a standby
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.get_order(order_id uuid) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_order';
COMMENT ON FUNCTION oms.get_order(uuid) IS 'One order with its items, payments, reservations, shipments, queued commands and timeline.';

CREATE FUNCTION oms.list_orders(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                                OUT order_id uuid, OUT customer_id text, OUT status text, OUT on_hold boolean, OUT hold_reason text,
                                OUT pending_action text, OUT currency text, OUT total_minor bigint, OUT paid_minor bigint,
                                OUT refunded_minor bigint, OUT version integer, OUT external_ref text, OUT metadata jsonb,
                                OUT created_at timestamptz, OUT updated_at timestamptz, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_orders';
COMMENT ON FUNCTION oms.list_orders(jsonb, text, integer) IS
    'Orders, newest first. filter: customer_id, status (one or several), currency, on_hold, external_ref, created_from, created_to. Pass a row''s next_cursor to go on behind it.';

CREATE FUNCTION oms.order_timeline(order_id uuid,
                                   OUT seq bigint, OUT type text, OUT prev_status text, OUT status text, OUT reason text, OUT actor text,
                                   OUT occurred_at timestamptz, OUT payload jsonb, OUT event_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_order_timeline';
COMMENT ON FUNCTION oms.order_timeline(uuid) IS 'Everything that happened to one order, in order.';

CREATE FUNCTION oms.list_events(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                                OUT id bigint, OUT aggregate_type text, OUT aggregate_id text, OUT seq bigint, OUT type text,
                                OUT topic text, OUT key text, OUT payload jsonb, OUT headers jsonb, OUT occurred_at timestamptz,
                                OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_events';
COMMENT ON FUNCTION oms.list_events(jsonb, text, integer) IS
    'Events of the log in id order. filter: aggregate_type, aggregate_id, type (one or several), topic, occurred_from, occurred_to, order ("asc", "desc").';

CREATE FUNCTION oms.read_stream(aggregate_type text, aggregate_id text, from_version bigint DEFAULT 1, "limit" integer DEFAULT 1000,
                                OUT version bigint, OUT id bigint, OUT type text, OUT payload jsonb, OUT headers jsonb,
                                OUT occurred_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_read_stream';
COMMENT ON FUNCTION oms.read_stream(text, text, bigint, integer) IS 'The events of one stream from a version on.';

CREATE FUNCTION oms.order_machine(OUT from_status text, OUT action text, OUT to_status text, OUT blocked_by_hold boolean,
                                  OUT effect text, OUT event_type text, OUT builtin boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_order_machine';
COMMENT ON FUNCTION oms.order_machine() IS 'The order machine as this session applies it, your own transitions included.';

CREATE FUNCTION oms.order_machine_graph(format text DEFAULT 'mermaid') RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_order_machine_graph';
COMMENT ON FUNCTION oms.order_machine_graph(text) IS 'The order machine as a Mermaid or DOT graph.';

CREATE FUNCTION oms.customer_hash(customer_id text) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_customer_hash';
COMMENT ON FUNCTION oms.customer_hash(text) IS 'The 16 bits of a customer that are part of all his order ids: what a router shards by.';

CREATE FUNCTION oms.order_facts(order_id uuid, OUT created_at timestamptz, OUT customer_hash integer)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_order_facts';
COMMENT ON FUNCTION oms.order_facts(uuid) IS 'What an order id says by itself: when the order was created and whose it is. NULLs for other ids.';

-- Sagas ---------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.saga_status(saga_id bigint) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_saga_status';
COMMENT ON FUNCTION oms.saga_status(bigint) IS 'One saga with its steps and signals.';

CREATE FUNCTION oms.saga_history(saga_id bigint, OUT seq bigint, OUT type text, OUT step text, OUT attempt integer, OUT reason text,
                                 OUT occurred_at timestamptz, OUT payload jsonb, OUT event_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_saga_history';
COMMENT ON FUNCTION oms.saga_history(bigint) IS 'Everything that happened to one saga, in order.';

CREATE FUNCTION oms.list_sagas(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                               OUT saga_id bigint, OUT definition text, OUT version integer, OUT key text, OUT status text,
                               OUT waits_for text, OUT failure text, OUT canceled boolean, OUT deadline_at timestamptz, OUT wake_at timestamptz,
                               OUT created_at timestamptz, OUT updated_at timestamptz, OUT finished_at timestamptz, OUT completed_at timestamptz,
                               OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_sagas';
COMMENT ON FUNCTION oms.list_sagas(jsonb, text, integer) IS
    'Sagas, newest first. filter: definition, key, status (one or several), canceled, created_from, created_to. Pass a row''s next_cursor to go on behind it.';

CREATE FUNCTION oms.saga_metrics(OUT name text, OUT labels jsonb, OUT value double precision)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_saga_metrics';
COMMENT ON FUNCTION oms.saga_metrics() IS 'Counts and durations of sagas, by definition; totals also of those that were purged.';

CREATE FUNCTION oms.saga_graph(definition text, format text DEFAULT 'mermaid', version integer DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_saga_graph';
COMMENT ON FUNCTION oms.saga_graph(text, text, integer) IS 'A saga''s definition as a Mermaid or DOT graph.';

CREATE FUNCTION oms.clock_time() RETURNS timestamptz
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_clock_time';
COMMENT ON FUNCTION oms.clock_time() IS 'The time that the session goes by: the clock''s, or oms.now_override.';

CREATE VIEW oms.stuck AS
SELECT 'saga'::text AS what, s.saga_id::text AS id, s.definition, s.key, s.updated_at AS since,
       s.waits_for || coalesce(': ' || (SELECT string_agg(format('%s (%s)', t.name, t.error), ', ' ORDER BY t.completion DESC)
           FROM oms.saga_step t WHERE t.step_id BETWEEN s.saga_id << 14 AND (s.saga_id << 14) + 16383 AND t.status = 'compensation_failed'), '') AS why,
       format('repair the cause, then SELECT * FROM oms.resume_saga(%s, reason, key); with by_hand => true if %s', s.saga_id,
           CASE WHEN s.definition = 'order_fulfilment' AND EXISTS (SELECT FROM oms.saga_step t WHERE t.step_id BETWEEN s.saga_id << 14 AND (s.saga_id << 14) + 16383
                   AND t.status = 'compensation_failed' AND t.name IN ('authorize', 'capture'))
               THEN 'all that its payments hold went back by other means: that is recorded on them, and the provider is not asked again'
               ELSE 'it was undone by hand' END) AS what_to_do
FROM oms.saga s WHERE s.status = 'parked'
UNION ALL
SELECT 'saga', s.saga_id::text, s.definition, s.key, s.wake_at,
       CASE WHEN r.failures IS NULL THEN 'it was to be looked at, and nobody did: ' || s.waits_for
            ELSE format('its time came, and going on has failed %s times: %s', r.failures, r.last_error) END,
       CASE WHEN r.failures IS NULL THEN 'start oms-worker, or call oms.run_due() from a scheduler'
            ELSE 'repair the cause; the next attempt is at ' || r.due_at END
FROM oms.saga s LEFT JOIN oms.timer r ON r.kind = 6 AND r.subject_id = s.saga_id AND r.failures > 0
WHERE s.status IN ('running', 'compensating') AND s.wake_at < oms.clock_time() - interval '1 minute'
UNION ALL
SELECT 'timer', r.timer_id::text, (ARRAY['lease', 'lease', 'task', 'step', 'step', 'saga', 'capture', 'order', 'reservation', 'purge', 'lease', 'task', 'commands'])[r.kind],
       coalesce('task ' || (r.data #>> '{tasks,0}'), r.data ->> 'payment_id', r.data ->> 'order_id', 'task ' || r.subject_id), r.failing_since,
       format('its time came, and what was to be done has failed %s times: %s', r.failures, r.last_error),
       'repair the cause; the next attempt is at ' || r.due_at
FROM oms.timer r WHERE r.failures >= 3 AND r.kind <> 6
UNION ALL
SELECT 'saga', s.saga_id::text, s.definition, s.key, t.started_at,
       format('step %s has failed %s times: %s', t.name, CASE WHEN t.status = 'compensating' THEN t.undo_attempts ELSE t.attempts END, t.error),
       'repair the cause; the next attempt is at ' || t.due_at
FROM oms.saga s JOIN oms.saga_step t USING (saga_id)
WHERE s.status IN ('running', 'compensating') AND t.status IN ('pending', 'compensating') AND t.error IS NOT NULL
  AND greatest(t.attempts, t.undo_attempts) >= 5
UNION ALL
SELECT 'payment', o.payment_id::text, 'payment.' || o.kind, o.order_id::text, k.updated_at,
       format('nobody knows what became of its %s of %s %s, and the provider could not be asked: %s', o.kind, o.amount_minor, o.currency, k.last_error),
       format('look at the provider, then SELECT * FROM oms.reconcile_payment(%L, key, outcome, operation_id => %L); without an outcome it is asked again', o.payment_id, o.operation_id)
FROM oms.task k
JOIN oms.payment_operation q ON q.operation_id = CASE WHEN k.provider_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN k.provider_key::uuid END
JOIN oms.payment_operation o ON o.operation_id = q.reconciles AND o.created_at = q.created_at
WHERE k.kind = 'payment.reconcile' AND k.status = 'dead' AND o.status = 'indeterminate'
  AND NOT EXISTS (SELECT FROM oms.payment_operation n WHERE n.payment_id = o.payment_id AND n.created_at = o.created_at
                  AND n.reconciles = o.operation_id AND n.task_id > k.task_id)
UNION ALL
SELECT 'task', k.task_id::text, k.kind, k.step_id::text, k.updated_at,
       CASE WHEN k.last_error IS NOT NULL THEN format('its last attempt (%s) failed: %s', k.attempt, k.last_error)
            WHEN q.publish AND k.position IS NULL THEN format('it has not gone out to topic oms.commands.%s', k.queue)
            ELSE format('no worker has claimed it from queue %s', k.queue) END,
       CASE WHEN q.publish AND k.position IS NULL THEN format('see that a clock runs, and that queue %s is not paused', k.queue)
            ELSE format('see that a worker claims queue %s', k.queue) END
FROM oms.task k LEFT JOIN oms.queue q USING (queue) WHERE k.status = 'ready' AND k.run_at < oms.clock_time() - interval '1 minute'
UNION ALL
SELECT 'command', c.command_id::text, c.command, c.order_id::text, coalesce(d.due_at, c.asked_at),
       CASE WHEN d.due_at IS NOT NULL THEN 'its time came, and nobody looked' ELSE format('it has failed %s times: %s', c.attempts, c.error) END,
       CASE WHEN d.due_at IS NOT NULL THEN 'start oms-worker, or call oms.run_due() from a scheduler'
            ELSE format('repair the cause, or oms.cancel_queued_command(%s, reason); it is given up at %s', c.command_id, c.give_up_at) END
FROM oms.queued_command c
     LEFT JOIN LATERAL (SELECT min(r.due_at) AS due_at FROM oms.timer r WHERE r.kind = 13 AND r.failures = 0 AND r.due_at < oms.clock_time() - interval '1 minute'
         AND r.data ->> 'order_id' = c.order_id::text) d ON true
WHERE c.status = 'waiting' AND (d.due_at IS NOT NULL OR c.attempts >= 3);
COMMENT ON VIEW oms.stuck IS 'What does not move: what it is, since when, why, and what to do about it.';

CREATE FUNCTION oms.get_stock(sku text) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_stock';
COMMENT ON FUNCTION oms.get_stock(text) IS 'What is on hand of a sku, reserved, and available.';

CREATE FUNCTION oms.list_stock(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                               OUT sku text, OUT on_hand bigint, OUT reserved bigint, OUT available bigint, OUT buckets integer,
                               OUT updated_at timestamptz, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_stock';
COMMENT ON FUNCTION oms.list_stock(jsonb, text, integer) IS 'Stock by sku. filter: sku (one or several), updated_from, updated_to.';

CREATE FUNCTION oms.get_payment(payment_id uuid) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_payment';
COMMENT ON FUNCTION oms.get_payment(uuid) IS 'One payment with its operations, refunds, ledger entries and timeline.';

CREATE FUNCTION oms.list_payments(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                                  OUT payment_id uuid, OUT order_id uuid, OUT status text, OUT version integer, OUT currency text,
                                  OUT amount_minor bigint, OUT authorized_minor bigint, OUT captured_minor bigint,
                                  OUT refunded_minor bigint, OUT refund_pending_minor bigint, OUT provider text, OUT provider_ref text,
                                  OUT reason text, OUT operation_id uuid, OUT capture_due_at timestamptz, OUT initiated_at timestamptz,
                                  OUT updated_at timestamptz, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_payments';
COMMENT ON FUNCTION oms.list_payments(jsonb, text, integer) IS
    'Payments, those of the newest orders first. filter: order_id, status (one or several), provider, currency, initiated_from, initiated_to.';

CREATE FUNCTION oms.get_shipment(shipment_id uuid) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_shipment';
COMMENT ON FUNCTION oms.get_shipment(uuid) IS 'One shipment with its items and timeline.';

CREATE FUNCTION oms.list_shipments(filter jsonb DEFAULT '{}', cursor text DEFAULT NULL, "limit" integer DEFAULT 100,
                                   OUT shipment_id uuid, OUT order_id uuid, OUT status text, OUT version integer, OUT carrier text,
                                   OUT tracking text, OUT assignee text, OUT metadata jsonb, OUT reason text, OUT step_id bigint,
                                   OUT requested_at timestamptz, OUT updated_at timestamptz, OUT shipped_at timestamptz,
                                   OUT delivered_at timestamptz, OUT next_cursor text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_list_shipments';
COMMENT ON FUNCTION oms.list_shipments(jsonb, text, integer) IS
    'Shipments, those of the newest orders first. filter: order_id, status (one or several), carrier, tracking, assignee, requested_from, requested_to.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 14  Reading the log
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.create_reader(name text, topics text[] DEFAULT NULL, start_at text DEFAULT 'now') RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_create_reader';
COMMENT ON FUNCTION oms.create_reader(text, text[], text) IS
    'Creates a reader that starts at the "beginning" of the log or "now". topics NULL: every event that has a topic; {*}: every event. Repeating it changes nothing.';

CREATE FUNCTION oms.drop_reader(name text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_drop_reader';
COMMENT ON FUNCTION oms.drop_reader(text) IS 'Drops a reader and its position. Its dead letters and receipts stay.';

CREATE FUNCTION oms.attach_reader(name text, takeover_wait_ms integer DEFAULT 0) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_attach_reader';
COMMENT ON FUNCTION oms.attach_reader(text, integer) IS
    'Makes this session the owner of the reader until it detaches or ends; false: another one still is, after waiting so long.';

CREATE FUNCTION oms.detach_reader(name text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_detach_reader';
COMMENT ON FUNCTION oms.detach_reader(text) IS 'Gives the reader back. What was read and not confirmed will be read again.';

CREATE FUNCTION oms.read_events(name text, max_events integer DEFAULT 1000, max_bytes bigint DEFAULT NULL,
                                OUT id bigint, OUT aggregate_type text, OUT aggregate_id text, OUT seq bigint, OUT type text,
                                OUT topic text, OUT key text, OUT payload jsonb, OUT headers jsonb, OUT occurred_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_read_events';
COMMENT ON FUNCTION oms.read_events(text, integer, bigint) IS
    'The next events, in the order of ids. In an attached session it goes on behind what the session read last; otherwise it reads from the stored cursor, for this transaction. No row: nothing more was committed by now.';

CREATE FUNCTION oms.commit_reader(name text, "position" bigint DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_commit_reader';
COMMENT ON FUNCTION oms.commit_reader(text, bigint) IS
    'Moves the cursor behind the event with this id, in the order read, or behind everything that was read here. It counts when the transaction commits.';

CREATE FUNCTION oms.reader_bookmark(name text, "position" bigint DEFAULT NULL,
                                    OUT system_identifier bigint, OUT database oid, OUT timeline integer, OUT wal pg_lsn, OUT bookmark text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_reader_bookmark';
COMMENT ON FUNCTION oms.reader_bookmark(text, bigint) IS
    'The place behind the event with this id, or behind everything that was read here, to be kept outside of the database, in one transaction with what was done with the events. Everything it depends on is on disk.';

CREATE FUNCTION oms.resume_reader(name text, bookmark text, OUT outcome text, OUT reason text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_resume_reader';
COMMENT ON FUNCTION oms.resume_reader(text, text) IS
    'Moves the reader on to a bookmark. outcome: "resumed"; "passed": it stands there or further on anyway; "refused": the history of this database does not have that place, and the stored position counts.';

CREATE FUNCTION oms.reader_status(name text DEFAULT NULL,
                                  OUT name text, OUT topics text[], OUT owner_pid integer, OUT lag_events bigint,
                                  OUT lag_seconds double precision, OUT oldest_pending timestamptz, OUT delayed_by_pid integer,
                                  OUT delayed_since timestamptz, OUT "position" text, OUT committed_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_reader_status';
COMMENT ON FUNCTION oms.reader_status(text) IS
    'Where readers stand. lag_events counts ids drawn since, so it is an upper bound; delayed_by_pid is the session whose open transaction has written to the log longest (NULL with delayed_since: a prepared transaction). Only its own events wait for it.';

CREATE FUNCTION oms.doorbell_arm() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_doorbell_arm';
COMMENT ON FUNCTION oms.doorbell_arm() IS
    'Before sleeping: from now on commits send NOTIFY oms_doorbell. Read once more after it. false: somebody is committing, read again a little later.';

CREATE FUNCTION oms.doorbell_disarm() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_doorbell_disarm';
COMMENT ON FUNCTION oms.doorbell_disarm() IS 'After waking, before reading: commits need not notify any more.';

CREATE FUNCTION oms.record_receipts(reader text, event_ids bigint[], topics text[], partitions integer[], offsets bigint[],
                                    broker_times timestamptz[]) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_record_receipts';
COMMENT ON FUNCTION oms.record_receipts(text, bigint[], text[], integer[], bigint[], timestamptz[]) IS
    'Records where events arrived; the arrays have one element for each.';

CREATE FUNCTION oms.topic_policies(OUT topic text, OUT on_reject text, OUT receipts boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_topic_policies';
COMMENT ON FUNCTION oms.topic_policies() IS 'The policies of topics; one that is not listed skips, and keeps no receipts.';

CREATE FUNCTION oms.set_topic_policy(topic text, on_reject text DEFAULT 'skip', receipts boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_set_topic_policy';
COMMENT ON FUNCTION oms.set_topic_policy(text, text, boolean) IS
    'Sets what happens to the later events of a key when one is rejected ("skip" or "block_key"), and whether receipts are kept.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 15  Dead letters
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.reject_event(reader text, event_id bigint, error text, attempts integer, parked boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_reject_event';
COMMENT ON FUNCTION oms.reject_event(text, bigint, text, integer, boolean) IS
    'Makes the event a dead letter, once, and gives its id. parked: it only waits behind one of its key; NULL then says that there is none any more.';

CREATE FUNCTION oms.dead_letters_ahead(reader text, OUT event_id bigint, OUT topic text, OUT key text, OUT error text, OUT parked boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_dead_letters_ahead';
COMMENT ON FUNCTION oms.dead_letters_ahead(text) IS
    'The dead letters of events that the reader''s stored position has not passed: read again, these are not to be sent. parked: it only waited behind one of its key.';

CREATE FUNCTION oms.blocked_keys(reader text, OUT topic text, OUT key text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_blocked_keys';
COMMENT ON FUNCTION oms.blocked_keys(text) IS 'The keys of topics with block_key that a dead letter holds back.';

CREATE FUNCTION oms.take_replays(reader text, max_events integer DEFAULT 100,
                                 OUT attempt_id bigint, OUT dead_letter_id bigint, OUT id bigint, OUT aggregate_type text,
                                 OUT aggregate_id text, OUT seq bigint, OUT type text, OUT topic text, OUT key text, OUT payload jsonb,
                                 OUT headers jsonb, OUT occurred_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_take_replays';
COMMENT ON FUNCTION oms.take_replays(text, integer) IS
    'The events whose replay is asked for, in order, until oms.settle_replay says what became of them. With block_key one of a key at a time.';

CREATE FUNCTION oms.settle_replay(attempt_id bigint, ok boolean, error text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_settle_replay';
COMMENT ON FUNCTION oms.settle_replay(bigint, boolean, text) IS
    'Says how an attempt ended. Success lets the next parked event of the key follow.';

CREATE FUNCTION oms.dlq_list(filter jsonb DEFAULT '{}', "limit" integer DEFAULT 100) RETURNS SETOF oms.dead_letter
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_dlq_list';
COMMENT ON FUNCTION oms.dlq_list(jsonb, integer) IS
    'Dead letters in the order of events. filter: reader, topic, key, aggregate_type, aggregate_id, status (one or several), created_from, created_to.';

CREATE FUNCTION oms.dlq_replay(ids bigint[] DEFAULT NULL, filter jsonb DEFAULT NULL, "limit" integer DEFAULT 100, rate integer DEFAULT NULL,
                               dry_run boolean DEFAULT true, reason text DEFAULT NULL,
                               OUT dead_letter_id bigint, OUT reader text, OUT event_id bigint, OUT topic text, OUT key text,
                               OUT error text, OUT attempts integer, OUT outcome text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_dlq_replay';
COMMENT ON FUNCTION oms.dlq_replay(bigint[], jsonb, integer, integer, boolean, text) IS
    'Asks for failed dead letters to be delivered again, by id or by filter, in the order of events, at most rate a second. Only shows what it would do unless dry_run is false; then a reason is needed, and kept.';

CREATE FUNCTION oms.dlq_discard(ids bigint[], reason text,
                                OUT dead_letter_id bigint, OUT reader text, OUT event_id bigint, OUT topic text, OUT key text,
                                OUT error text, OUT attempts integer, OUT outcome text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_dlq_discard';
COMMENT ON FUNCTION oms.dlq_discard(bigint[], text) IS
    'Gives dead letters up, for good. Events parked behind them follow. The row and the event stay.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 16  Operators
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.purge_idempotency(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_purge_idempotency';
COMMENT ON FUNCTION oms.purge_idempotency(integer) IS 'Deletes up to batch expired idempotency keys; answers how many.';

CREATE FUNCTION oms.check_integrity(OUT check_name text, OUT object text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_check_integrity';
COMMENT ON FUNCTION oms.check_integrity() IS 'Verifies the invariants on live data; every row is a violation.';

CREATE FUNCTION oms.errors(OUT sqlstate text, OUT name text, OUT retryable boolean, OUT meaning text, OUT action text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_errors';
COMMENT ON FUNCTION oms.errors() IS 'Every error of the extension: SQLSTATE, meaning, and what to do.';

CREATE FUNCTION oms.version() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_version';
COMMENT ON FUNCTION oms.version() IS 'The version of the library that this session runs.';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 17  Who may call what
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- The one list of audiences. A wider audience includes a narrower one: see the grant functions below.
CREATE TABLE oms.api (
    function text COLLATE "C" PRIMARY KEY,  -- not regprocedure: pg_upgrade refuses tables that hold oids
    audience text NOT NULL CHECK (audience IN ('application', 'reader', 'worker', 'operator', 'owner'))
);
COMMENT ON TABLE oms.api IS 'Which audience each function is for; read by the grant functions.';

INSERT INTO oms.api VALUES
    ('create_order(text, text, jsonb, text, text, jsonb)', 'application'),
    ('create_orders(jsonb)', 'application'),
    ('advance_order(uuid, text, text, integer, text, jsonb)', 'application'),
    ('cancel_order(uuid, text, text, integer)', 'application'),
    ('ship_order(uuid, text, integer, jsonb)', 'application'),
    ('complete_order(uuid, text, integer, jsonb)', 'application'),
    ('refund_order(uuid, bigint, text, text, integer)', 'application'),
    ('hold_order(uuid, text, text, integer)', 'application'),
    ('release_hold(uuid, text, integer, text)', 'application'),
    ('amend_order(uuid, jsonb, text, integer, text)', 'application'),
    ('append_events(text, text, bigint, jsonb, text)', 'application'),
    ('set_stock(text, bigint, text, integer, text)', 'application'),
    ('adjust_stock(text, bigint, text, text)', 'application'),
    ('reserve(uuid, text, interval, integer)', 'application'),
    ('release(uuid, text, text, integer)', 'application'),
    ('authorize_payment(uuid, bigint, text, text, jsonb)', 'application'),
    ('capture_payment(uuid, bigint, interval, text, integer)', 'application'),
    ('void_payment(uuid, text, text, integer)', 'application'),
    ('refund_payment(uuid, bigint, text, text, integer)', 'application'),
    ('reconcile_payment(uuid, text, text, uuid, text)', 'application'),
    ('create_shipment(uuid, jsonb, text, text, text, text, jsonb, integer)', 'application'),
    ('update_shipment(uuid, text, text, text, text, jsonb, integer)', 'application'),
    ('ship_shipment(uuid, text, text, text, integer)', 'application'),
    ('deliver_shipment(uuid, text, integer)', 'application'),
    ('cancel_shipment(uuid, text, text, integer)', 'application'),
    ('return_shipment(uuid, text, text, integer)', 'application'),
    ('get_stock(text)', 'reader'),
    ('list_stock(jsonb, text, integer)', 'reader'),
    ('get_payment(uuid)', 'reader'),
    ('list_payments(jsonb, text, integer)', 'reader'),
    ('get_shipment(uuid)', 'reader'),
    ('list_shipments(jsonb, text, integer)', 'reader'),
    ('get_order(uuid)', 'reader'),
    ('list_orders(jsonb, text, integer)', 'reader'),
    ('order_timeline(uuid)', 'reader'),
    ('list_events(jsonb, text, integer)', 'reader'),
    ('read_stream(text, text, bigint, integer)', 'reader'),
    ('order_machine()', 'reader'),
    ('order_machine_graph(text)', 'reader'),
    ('customer_hash(text)', 'reader'),
    ('order_facts(uuid)', 'reader'),
    ('errors()', 'reader'),
    ('version()', 'reader'),
    ('reader_status(text)', 'reader'),
    ('topic_policies()', 'reader'),
    ('dlq_list(jsonb, integer)', 'reader'),
    ('purge_idempotency(integer)', 'worker'),
    ('create_reader(text, text[], text)', 'worker'),
    ('attach_reader(text, integer)', 'worker'),
    ('detach_reader(text)', 'worker'),
    ('read_events(text, integer, bigint)', 'worker'),
    ('commit_reader(text, bigint)', 'worker'),
    ('reader_bookmark(text, bigint)', 'worker'),
    ('resume_reader(text, text)', 'worker'),
    ('doorbell_arm()', 'worker'),
    ('doorbell_disarm()', 'worker'),
    ('record_receipts(text, bigint[], text[], integer[], bigint[], timestamp with time zone[])', 'worker'),
    ('reject_event(text, bigint, text, integer, boolean)', 'worker'),
    ('blocked_keys(text)', 'worker'),
    ('dead_letters_ahead(text)', 'worker'),
    ('take_replays(text, integer)', 'worker'),
    ('settle_replay(bigint, boolean, text)', 'worker'),
    ('drop_reader(text)', 'operator'),
    ('set_topic_policy(text, text, boolean)', 'operator'),
    ('dlq_replay(bigint[], jsonb, integer, integer, boolean, text)', 'operator'),
    ('dlq_discard(bigint[], text)', 'operator'),
    ('check_integrity()', 'operator'),
    ('force_order(uuid, text, text, text, text)', 'operator');

INSERT INTO oms.api VALUES
    ('define_saga(text, jsonb)', 'application'),
    ('start_saga(text, jsonb, text, text, integer)', 'application'),
    ('signal_saga(bigint, text, jsonb, text)', 'application'),
    ('cancel_saga(bigint, text, text)', 'application'),
    ('compensate_saga(bigint, text, text)', 'operator'),
    ('resume_saga(bigint, text, text, boolean)', 'operator'),
    ('purge_sagas(interval, integer)', 'worker'),
    ('saga_status(bigint)', 'reader'),
    ('saga_history(bigint)', 'reader'),
    ('list_sagas(jsonb, text, integer)', 'reader'),
    ('saga_metrics()', 'reader'),
    ('saga_graph(text, text, integer)', 'reader'),
    ('clock_time()', 'reader'),
    ('saga_definition_changed()', 'owner'),
    ('pay_order(uuid, text, jsonb, jsonb, integer)', 'application'),
    ('set_fulfilment_policy(jsonb)', 'operator'),
    ('queue_command(uuid, text, jsonb, text, interval)', 'application'),
    ('cancel_queued_command(bigint, text)', 'application'),
    ('list_queued_commands(jsonb, text, integer)', 'reader'),
    ('purge_queued_commands(interval, integer)', 'worker'),
    ('fulfilment_open(jsonb)', 'owner'),
    ('fulfilment_cancel(jsonb)', 'owner'),
    ('fulfilment_reserve(jsonb)', 'owner'),
    ('fulfilment_authorize(jsonb)', 'owner'),
    ('fulfilment_capture(jsonb)', 'owner'),
    ('fulfilment_return_money(jsonb)', 'owner'),
    ('fulfilment_money_returned(jsonb)', 'owner'),
    ('fulfilment_pay(jsonb)', 'owner'),
    ('fulfilment_confirm(jsonb)', 'owner'),
    ('fulfilment_shipment(jsonb)', 'owner'),
    ('fulfilment_ask_carrier(jsonb)', 'owner'),
    ('fulfilment_shipment_created(jsonb)', 'owner'),
    ('fulfilment_drop_shipment(jsonb)', 'owner'),
    ('fulfilment_close(jsonb)', 'owner');

CREATE FUNCTION oms.grant_audiences(role regrole, audiences text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    granted text;
BEGIN
    IF role IS NULL OR audiences IS NULL THEN
        RAISE EXCEPTION 'a role is missing' USING ERRCODE = 'OM001', DETAIL = 'The argument is NULL.', HINT = 'Pass the name of a role.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA oms TO %s', role);
    FOR granted IN SELECT function FROM oms.api WHERE audience = ANY (audiences) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION oms.%s TO %s', granted, role);
    END LOOP;
END $$;
COMMENT ON FUNCTION oms.grant_audiences(regrole, text[]) IS 'Grants EXECUTE on every function of the named audiences; the other grant functions call it.';

CREATE FUNCTION oms.grant_application(role regrole) RETURNS void
    LANGUAGE sql VOLATILE BEGIN ATOMIC SELECT oms.grant_audiences(role, '{application, reader}'); END;
COMMENT ON FUNCTION oms.grant_application(regrole) IS 'Lets a role call every command and query, and nothing else: no right on any table.';

CREATE FUNCTION oms.grant_reader(role regrole) RETURNS void
    LANGUAGE sql VOLATILE BEGIN ATOMIC SELECT oms.grant_audiences(role, '{reader}'); END;
COMMENT ON FUNCTION oms.grant_reader(regrole) IS 'Lets a role call every query.';

CREATE FUNCTION oms.grant_worker(role regrole) RETURNS void
    LANGUAGE sql VOLATILE BEGIN ATOMIC SELECT oms.grant_audiences(role, '{worker, reader}'); END;
COMMENT ON FUNCTION oms.grant_worker(regrole) IS 'Lets a role do what oms-worker does: read the log, move cursors, maintenance.';

CREATE FUNCTION oms.grant_operator(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM oms.grant_audiences(role, '{application, reader, worker, operator}');
    -- People who look after the system look at its tables; they change them through functions only.
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA oms TO %s', role);
END $$;
COMMENT ON FUNCTION oms.grant_operator(regrole) IS 'Lets a role call everything and look into every table.';

CREATE FUNCTION oms.revoke_all(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION 'a role is missing' USING ERRCODE = 'OM001', DETAIL = 'The argument is NULL.', HINT = 'Pass the name of a role.';
    END IF;
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA oms FROM %s', role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA oms FROM %s', role);
    EXECUTE format('REVOKE ALL ON SCHEMA oms FROM %s', role);
END $$;
COMMENT ON FUNCTION oms.revoke_all(regrole) IS 'Takes back what any of the grant functions gave a role.';

INSERT INTO oms.api VALUES
    ('order_rules_changed()', 'owner'),
    ('log_only_grows()', 'owner'),
    ('topic_routes_changed()', 'owner'),
    ('grant_audiences(regrole, text[])', 'owner'),
    ('grant_application(regrole)', 'owner'),
    ('grant_reader(regrole)', 'owner'),
    ('grant_worker(regrole)', 'owner'),
    ('grant_operator(regrole)', 'owner'),
    ('revoke_all(regrole)', 'owner');

INSERT INTO oms.api VALUES
    ('create_task(text, text, jsonb, text, timestamp with time zone, integer, jsonb, timestamp with time zone, text)', 'application'),
    ('claim_tasks(text, integer, interval, boolean)', 'application'),
    ('complete_task(bigint, bigint, jsonb)', 'application'),
    ('complete_tasks(bigint[], bigint[], jsonb)', 'application'),
    ('fail_task(bigint, bigint, text, boolean, boolean)', 'application'),
    ('heartbeat_task(bigint, bigint, interval)', 'application'),
    ('tasks_arm(text)', 'application'),
    ('tasks_disarm(text)', 'application'),
    ('list_tasks(jsonb, text, integer)', 'reader'),
    ('get_task(bigint)', 'reader'),
    ('replay_tasks(bigint[], jsonb, integer, boolean, text)', 'operator'),
    ('cancel_task(bigint, text)', 'operator'),
    ('purge_tasks(integer)', 'worker'),
    ('run_due(integer)', 'worker'),
    ('next_due()', 'worker'),
    ('clock_arm()', 'worker'),
    ('clock_disarm()', 'worker'),
    ('queues_changed()', 'owner');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA oms FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 18  What a dump must contain: tables of an extension are dumped only when they are marked
-- ---------------------------------------------------------------------------------------------------------------------------------------

SELECT pg_catalog.pg_extension_config_dump('oms.order_status', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.order_transition', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.topic_route', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.event', '');
SELECT pg_catalog.pg_extension_config_dump('oms.event_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.stream', '');
SELECT pg_catalog.pg_extension_config_dump('oms.log_life', '');
SELECT pg_catalog.pg_extension_config_dump('oms.reader', '');
SELECT pg_catalog.pg_extension_config_dump('oms.reader_position', '');
SELECT pg_catalog.pg_extension_config_dump('oms.topic_policy', '');
SELECT pg_catalog.pg_extension_config_dump('oms.dead_letter', '');
SELECT pg_catalog.pg_extension_config_dump('oms.dead_letter_dead_letter_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.replay_attempt', '');
SELECT pg_catalog.pg_extension_config_dump('oms.replay_attempt_attempt_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.receipt', '');
SELECT pg_catalog.pg_extension_config_dump('oms.receipt_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.idempotency_key', '');
SELECT pg_catalog.pg_extension_config_dump('oms.idempotency_key_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.orders', '');
SELECT pg_catalog.pg_extension_config_dump('oms.orders_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.order_item', '');
SELECT pg_catalog.pg_extension_config_dump('oms.order_item_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.stock', '');
SELECT pg_catalog.pg_extension_config_dump('oms.reservation_reservation_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.reservation', '');
SELECT pg_catalog.pg_extension_config_dump('oms.reservation_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.payment', '');
SELECT pg_catalog.pg_extension_config_dump('oms.payment_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.payment_operation', '');
SELECT pg_catalog.pg_extension_config_dump('oms.payment_operation_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.refund', '');
SELECT pg_catalog.pg_extension_config_dump('oms.refund_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.ledger_entry', '');
SELECT pg_catalog.pg_extension_config_dump('oms.ledger_entry_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.shipment', '');
SELECT pg_catalog.pg_extension_config_dump('oms.shipment_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.shipment_item', '');
SELECT pg_catalog.pg_extension_config_dump('oms.shipment_item_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.audit', '');
SELECT pg_catalog.pg_extension_config_dump('oms.audit_audit_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.timer_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.timer', '');
SELECT pg_catalog.pg_extension_config_dump('oms.task_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.task', '');
SELECT pg_catalog.pg_extension_config_dump('oms.task_front', '');
SELECT pg_catalog.pg_extension_config_dump('oms.task_owner', '');
SELECT pg_catalog.pg_extension_config_dump('oms.task_running', '');
SELECT pg_catalog.pg_extension_config_dump('oms.queue', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_definition', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_step', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_signal', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_counted', '');
SELECT pg_catalog.pg_extension_config_dump('oms.purge_position', '');
SELECT pg_catalog.pg_extension_config_dump('oms.saga_signal_signal_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.fulfilment_policy', '');
SELECT pg_catalog.pg_extension_config_dump('oms.queued_command', '');
SELECT pg_catalog.pg_extension_config_dump('oms.queued_command_command_id_seq', '');
