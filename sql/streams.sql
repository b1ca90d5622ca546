-- Goal: append_events and read_stream make an event store of the log: a stream is what was appended at the version it had.
-- Method: expected versions right and wrong, many events, headers, topics and keys of their own; two streams that share a name.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
SET oms.correlation_id = 'corr';

SELECT version, last_id - first_id AS span FROM oms.append_events('account', 'a-1', 0, '[{"type": "account.opened", "payload": {"owner": "ann"}}]');
SELECT version, last_id - first_id AS span FROM oms.append_events('account', 'a-1', 1,
    '[{"type": "account.credited", "payload": {"amount": 5}, "headers": {"correlation_id": "own", "tenant": 7}}, {"type": "account.debited", "payload": {}, "topic": "bank", "key": "k-1"}]');
SELECT version, type, payload, headers, occurred_at FROM oms.read_stream('account', 'a-1');
SELECT aggregate_type, aggregate_id, seq, topic, key, xid IS NOT NULL AS xid FROM oms.event WHERE aggregate_type = 'account' ORDER BY seq;
SELECT version, last_event_id - first_event_id AS span, created_at, updated_at FROM oms.stream WHERE aggregate_id = 'a-1';

-- The expected version: NULL is any, 0 is new.
SELECT test.fails(format($$SELECT oms.append_events('account', 'a-1', %s, '[{"type": "x", "payload": {}}]')$$, v), 'OM023', 'expected ' || v || ', found 3') FROM unnest('{0, 1, 2, 4, 9223372036854775807}'::bigint[]) v;
SELECT test.fails($$SELECT oms.append_events('account', 'a-2', 1, '[{"type": "x", "payload": {}}]')$$, 'OM023', 'expected 1, found nothing');
SELECT test.fails($$SELECT oms.append_events('account', 'a-1', -1, '[{"type": "x", "payload": {}}]')$$, 'OM001', 'a negative version');
SELECT message, detail, hint FROM test.outcome($$SELECT oms.append_events('account', 'a-1', 1, '[{"type": "x", "payload": {}}]')$$);
SELECT version FROM oms.append_events('account', 'a-1', NULL, '[{"type": "account.noted", "payload": {}}]');
SELECT version FROM oms.append_events('account', 'a-3', NULL, '[{"type": "account.opened", "payload": {}}]');
SELECT count(*) FROM oms.read_stream('account', 'a-2');

-- Reading from a version on, and not more than a limit.
SELECT array_agg(version) FROM oms.read_stream('account', 'a-1', 2);
SELECT array_agg(version) FROM oms.read_stream('account', 'a-1', 2, 2);
SELECT array_agg(version) FROM oms.read_stream('account', 'a-1', NULL, NULL);
SELECT count(*) FROM oms.read_stream('account', 'a-1', 5);
SELECT test.fails('SELECT * FROM oms.read_stream(''account'', ''a-1'', 1, ' || l || ')', 'OM001', 'a limit of ' || l) FROM unnest('{0, -1, 10001}'::int[]) l;

-- The name of a stream is type and id together.
SELECT version FROM oms.append_events('invoice', 'a-1', 0, '[{"type": "invoice.made", "payload": {"n": 1}}]');
SELECT version, type FROM oms.read_stream('invoice', 'a-1');
SELECT count(*) FROM oms.read_stream('account', 'a-1');
-- The type order belongs to the orders.
SELECT test.fails($$SELECT oms.append_events('order', 'x', 0, '[{"type": "x", "payload": {}}]')$$, 'OM027', 'a stream of orders');

-- Streams without a route stay in the log; with one they are delivered; a topic of the event's own wins.
SELECT type, topic, key FROM oms.event WHERE aggregate_type = 'invoice';
INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('invoice', '*', 'invoices');
SELECT version FROM oms.append_events('invoice', 'a-1', 1, '[{"type": "invoice.sent", "payload": {}}, {"type": "invoice.paid", "payload": {}, "key": "customer-7"}, {"type": "invoice.lost", "payload": {}, "topic": "alarms"}]');
SELECT seq, type, topic, key FROM oms.event WHERE aggregate_type = 'invoice' ORDER BY seq;
DELETE FROM oms.topic_route WHERE NOT builtin;

-- 10,000 events at once; as many streams in one transaction; several appends in one statement.
SELECT version, last_id - first_id AS span FROM oms.append_events('bulk', 'b', 0, (SELECT jsonb_agg(jsonb_build_object('type', 't', 'payload', jsonb_build_object('n', i))) FROM generate_series(1, 10000) i));
SELECT test.equal((SELECT sum(version * (payload ->> 'n')::int) FROM oms.read_stream('bulk', 'b', 1, 10000)), 333383335000, '10,000 events stand in their order');
BEGIN;
SELECT count(*), max(version) FROM generate_series(1, 20000) i, LATERAL oms.append_events('many', 's-' || i % 10000, i / 10001, '[{"type": "t", "payload": {}}]');
SELECT test.equal(count(*), 0::bigint, 'no lock on a name is left') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
SELECT version FROM generate_series(0, 2) v, LATERAL oms.append_events('one', 'statement', v, '[{"type": "t", "payload": {}}]');
-- A rollback leaves the stream at its version, a savepoint too.
BEGIN;
SELECT version FROM oms.append_events('one', 'statement', 3, '[{"type": "gone", "payload": {}}]');
SAVEPOINT one;
SELECT version FROM oms.append_events('one', 'statement', 4, '[{"type": "gone", "payload": {}}]');
SELECT version FROM oms.append_events('two', 'new', 0, '[{"type": "gone", "payload": {}}]');
ROLLBACK TO one;
SELECT version FROM oms.append_events('one', 'statement', 4, '[{"type": "gone too", "payload": {}}]');
SELECT version FROM oms.append_events('two', 'new', 0, '[{"type": "gone too", "payload": {}}]');
ROLLBACK;
SELECT version FROM oms.append_events('one', 'statement', 3, '[{"type": "kept", "payload": {}}]');
SELECT count(*) FROM oms.read_stream('two', 'new');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
