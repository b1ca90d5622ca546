-- Goal: the log tells what happened, completely: headers from the session, seq without gaps, the writer's xid, the topic that the routes say;
-- and it only grows.
-- Method: events of known commands compared with what was set; changes of routes and settings inside and outside transactions; attempts to rewrite.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- Headers: what is set is written, what is not set is not; a change counts at once; a SET LOCAL ends with its transaction.
CREATE FUNCTION pg_temp.headers_now() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    made uuid := (oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key())).order_id;
BEGIN
    RETURN (SELECT headers FROM oms.event WHERE aggregate_id = made::text);
END $$;
SELECT pg_temp.headers_now();
SET oms.correlation_id = 'corr-1';
SET oms.causation_id = 'cause-1';
SET oms.traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
SET oms.actor = 'änn "the" boss';
SELECT pg_temp.headers_now();
BEGIN;
SET LOCAL oms.correlation_id = 'corr-2';
SELECT pg_temp.headers_now() ->> 'correlation_id';
ROLLBACK;
SELECT pg_temp.headers_now() ->> 'correlation_id';
BEGIN;
SET LOCAL oms.correlation_id = 'corr-3';
SAVEPOINT one;
SET LOCAL oms.correlation_id = 'corr-4';
SELECT pg_temp.headers_now() ->> 'correlation_id';
ROLLBACK TO one;
SELECT pg_temp.headers_now() ->> 'correlation_id';
COMMIT;
SET oms.actor = '';
RESET oms.traceparent;
SELECT pg_temp.headers_now();
SET oms.correlation_id = 'corr-5';
-- A function's own setting counts inside it alone.
CREATE FUNCTION pg_temp.with_setting() RETURNS text LANGUAGE plpgsql SET oms.correlation_id = 'inner' AS $$ BEGIN RETURN pg_temp.headers_now() ->> 'correlation_id'; END $$;
SELECT pg_temp.with_setting(), pg_temp.headers_now() ->> 'correlation_id';
SET oms.actor = 'ann';
SELECT test.make_order() AS t \gset
SELECT seq, actor FROM oms.order_timeline(:'t');
RESET oms.actor;
RESET oms.correlation_id;
RESET oms.causation_id;

-- Every event has the members that all have.
SELECT test.nothing($$SELECT id, payload FROM oms.event WHERE aggregate_type = 'order' AND NOT payload ?& '{order_id, prev_status, status, reason, version, occurred_at}'$$,
    'every order event has the common members');
SELECT test.nothing($$SELECT id, headers FROM oms.event WHERE headers ->> 'schema_version' IS DISTINCT FROM '1'$$, 'every event says its schema version');
SELECT test.nothing($$SELECT id FROM oms.event WHERE aggregate_type = 'order' AND ((payload ->> 'occurred_at')::timestamptz <> occurred_at OR payload ->> 'order_id' <> aggregate_id)$$,
    'the payload says the same time and order as the row');
SELECT test.nothing($$SELECT aggregate_id FROM oms.event GROUP BY aggregate_type, aggregate_id
    HAVING min(seq) <> 1 OR max(seq) <> count(*) OR count(DISTINCT seq) <> count(*)$$, 'seq has no gaps');
SELECT test.nothing($$SELECT id FROM (SELECT id, lag(id) OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY seq) AS before FROM oms.event) e WHERE before > id$$,
    'ids of one aggregate rise with seq');

-- xid is the top-level transaction's, also in a subtransaction.
BEGIN;
SELECT test.make_order() AS x \gset
SAVEPOINT one;
SELECT status FROM test.advance(:'x', 'reserve');
SAVEPOINT two;
SELECT status FROM test.advance(:'x', 'pay');
RELEASE two;
RELEASE one;
SELECT test.equal(array_agg(DISTINCT xid), ARRAY[pg_current_xact_id()], 'one xid for the whole transaction') FROM oms.event WHERE aggregate_id = :'x';
COMMIT;
-- What is rolled back to a savepoint leaves no gap in seq.
BEGIN;
SAVEPOINT one;
SELECT status FROM test.advance(:'x', 'confirm');
ROLLBACK TO one;
SELECT status FROM test.advance(:'x', 'refund');
COMMIT;
SELECT array_agg(seq || ' ' || type ORDER BY seq) FROM oms.order_timeline(:'x');

-- Topics: the row for the type, else the one for "*", else none; a NULL keeps the event in the log.
CREATE FUNCTION pg_temp.topics_of(VARIADIC actions text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    made uuid := test.make_order();
    action text;
BEGIN
    FOREACH action IN ARRAY actions LOOP PERFORM test.advance(made, action); END LOOP;
    RETURN (SELECT array_agg(coalesce(topic, 'none') || CASE WHEN (topic IS NULL) = (key IS NULL) AND coalesce(key = aggregate_id, true) THEN '' ELSE ' bad key' END ORDER BY seq)
            FROM oms.event WHERE aggregate_id = made::text);
END $$;
SELECT pg_temp.topics_of('reserve', 'pay');
INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', 'order.paid', 'finance'), ('order', 'order.reserved', NULL);
SELECT pg_temp.topics_of('reserve', 'pay');
UPDATE oms.topic_route SET topic = 'money' WHERE type = 'order.paid';
SELECT pg_temp.topics_of('reserve', 'pay');
BEGIN;
DELETE FROM oms.topic_route WHERE type IN ('order.paid', 'order.reserved');
SELECT pg_temp.topics_of('reserve', 'pay');
ROLLBACK;
SELECT pg_temp.topics_of('reserve', 'pay');
BEGIN;
SAVEPOINT one;
DELETE FROM oms.topic_route WHERE type = 'order.paid';
ROLLBACK TO one;
SELECT pg_temp.topics_of('reserve', 'pay');
COMMIT;
DELETE FROM oms.topic_route WHERE NOT builtin;
SELECT pg_temp.topics_of('reserve', 'pay');
SELECT test.fails($$INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', 'x', 'no topic')$$, '23514', 'a topic with a space');
SELECT test.fails($$INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', 'x', '')$$, '23514', 'an empty topic');
-- Events that were written keep their topic.
SELECT count(*) FROM oms.event WHERE topic = 'money' AND type = 'order.paid';

-- It only grows, also through its partitions, also for a superuser.
SELECT test.fails(statement, 'OM027', statement) FROM unnest(ARRAY[
    'UPDATE oms.event SET type = ''x''', 'DELETE FROM oms.event', 'TRUNCATE oms.event', 'UPDATE oms.event_default SET payload = ''{}''',
    'DELETE FROM ONLY oms.event_default', 'TRUNCATE oms.event_default']) statement;
SELECT test.fails($$MERGE INTO oms.event e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE$$, 'OM027', 'MERGE')
WHERE current_setting('server_version_num')::int >= 150000;
SELECT test.fails('SELECT oms.log_only_grows()', '39P01', 'its trigger function called by hand');
SELECT test.fails('SELECT oms.topic_routes_changed()', '39P01', 'the routes'' trigger function called by hand');
-- A second event with a seq that is taken, or an id that is taken, cannot be slipped in by SQL either.
SELECT test.fails(format($$INSERT INTO oms.event SELECT nextval('oms.event_id_seq'), xid, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at
    FROM oms.event WHERE aggregate_id = %L LIMIT 1$$, :'x'), '23505', 'a seq twice');
SELECT test.fails(format($$INSERT INTO oms.event SELECT id, xid, aggregate_type, aggregate_id, 99, type, topic, key, payload, headers, occurred_at
    FROM oms.event WHERE aggregate_id = %L LIMIT 1$$, :'x'), '23505', 'an id twice');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
