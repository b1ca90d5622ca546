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
--   3  idempotency: one key, one effect
--   4  orders and their items
--   5  audit
--   6  commands
--   7  queries
--   8  operators: integrity, purge, errors
--   9  who may call what
--  10  what a dump must contain
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

CREATE TABLE oms.topic_route (
    aggregate_type text COLLATE "C" NOT NULL,
    type           text COLLATE "C" NOT NULL DEFAULT '*',
    topic          text COLLATE "C" CHECK (topic ~ '^[A-Za-z0-9._-]{1,249}$'),
    builtin        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (aggregate_type, type)
);
COMMENT ON TABLE oms.topic_route IS
    'Which topic an event goes to: the row for its type, else the one for "*". NULL, or no row: it stays in the log only.';
INSERT INTO oms.topic_route (aggregate_type, type, topic, builtin) VALUES ('order', '*', 'oms.order.events', true);

CREATE FUNCTION oms.topic_routes_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'oms_topic_routes_changed';
COMMENT ON FUNCTION oms.topic_routes_changed() IS 'Trigger: announces changed topic routes to all sessions.';
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON oms.topic_route
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

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 3  Idempotency
-- ---------------------------------------------------------------------------------------------------------------------------------------

-- One row for each command that took effect, written in its transaction. Uniqueness comes from a lock on the key and a probe of the partitions, not
-- from a unique index, so that expiry can be the drop of a partition.
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
-- 4  Orders
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
-- 5  Audit
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
-- 6  Commands
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
COMMENT ON FUNCTION oms.cancel_order(uuid, text, text, integer) IS 'Cancels an order; what was paid counts as refunded first.';

CREATE FUNCTION oms.ship_order(order_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL,
                               payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_ship_order';
COMMENT ON FUNCTION oms.ship_order(uuid, text, integer, jsonb) IS 'Marks a confirmed order as shipped; payload goes into the event.';

CREATE FUNCTION oms.complete_order(order_id uuid, idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL,
                                   payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_complete_order';
COMMENT ON FUNCTION oms.complete_order(uuid, text, integer, jsonb) IS 'Marks a shipped order as completed; payload goes into the event.';

CREATE FUNCTION oms.refund_order(order_id uuid, amount_minor bigint DEFAULT NULL, reason text DEFAULT NULL,
                                 idempotency_key text DEFAULT NULL, expected_version integer DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_refund_order';
COMMENT ON FUNCTION oms.refund_order(uuid, bigint, text, text, integer) IS
    'Refunds a part of what was paid, or the rest when no amount is given; the order becomes refunded when nothing is left.';

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
                                  OUT first_id bigint, OUT last_id bigint, OUT version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'oms_append_events';
COMMENT ON FUNCTION oms.append_events(text, text, bigint, jsonb) IS
    'Appends [{"type", "payload", "headers", "topic", "key"}, ...] to a stream if its version is the expected one (0: new, NULL: any).';

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 7  Queries: STABLE, they work on a standby
-- ---------------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION oms.get_order(order_id uuid) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'oms_get_order';
COMMENT ON FUNCTION oms.get_order(uuid) IS 'One order with its items and its timeline.';

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

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 8  Operators
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
-- 9  Who may call what
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
    ('append_events(text, text, bigint, jsonb)', 'application'),
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
    ('purge_idempotency(integer)', 'worker'),
    ('check_integrity()', 'operator'),
    ('force_order(uuid, text, text, text, text)', 'operator');

CREATE FUNCTION oms.grant_audiences(role regrole, audiences text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    granted text;
BEGIN
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

INSERT INTO oms.api VALUES
    ('order_rules_changed()', 'owner'),
    ('log_only_grows()', 'owner'),
    ('topic_routes_changed()', 'owner'),
    ('grant_audiences(regrole, text[])', 'owner'),
    ('grant_application(regrole)', 'owner'),
    ('grant_reader(regrole)', 'owner'),
    ('grant_worker(regrole)', 'owner'),
    ('grant_operator(regrole)', 'owner');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA oms FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------------------------------------------------
-- 10  What a dump must contain: tables of an extension are dumped only when they are marked
-- ---------------------------------------------------------------------------------------------------------------------------------------

SELECT pg_catalog.pg_extension_config_dump('oms.order_status', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.order_transition', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.topic_route', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('oms.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('oms.event', '');
SELECT pg_catalog.pg_extension_config_dump('oms.event_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.stream', '');
SELECT pg_catalog.pg_extension_config_dump('oms.idempotency_key', '');
SELECT pg_catalog.pg_extension_config_dump('oms.idempotency_key_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.orders', '');
SELECT pg_catalog.pg_extension_config_dump('oms.orders_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.order_item', '');
SELECT pg_catalog.pg_extension_config_dump('oms.order_item_default', '');
SELECT pg_catalog.pg_extension_config_dump('oms.audit', '');
SELECT pg_catalog.pg_extension_config_dump('oms.audit_audit_id_seq', '');
