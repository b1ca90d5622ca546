-- Goal: sagas that ended long ago go with all that is theirs; whatever may still be needed stays; the totals stay; integrity holds.
-- Method: sagas in every status and of every age, of orders that are over and of orders that are not; purged in small batches, each in a session of
-- its own.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-06-01 10:00:00+00';
-- Those of other tests are not meant.
CREATE TABLE test.saga_before AS SELECT coalesce(max(saga_id), 0) AS last FROM oms.saga;
CREATE SCHEMA saga;
CREATE FUNCTION saga.act(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF context ->> 'purpose' = context -> 'data' ->> 'breaks' THEN RAISE EXCEPTION 'broken'; END IF;
    RETURN NULL;
END $$;
SELECT oms.define_saga('purged', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.act", "retry": {"attempts": 1}, "compensation": {"function": "saga.act", "retry": {"attempts": 1}}},
    {"name": "w", "kind": "wait", "signal": "go"}, {"name": "t", "kind": "task", "queue": "purged", "task": "t", "compensation": null}]}');
CREATE FUNCTION saga.start(key text, breaks text DEFAULT 'nothing') RETURNS bigint LANGUAGE sql RETURN (oms.start_saga('purged', jsonb_build_object('breaks', breaks), 'purged ' || key, key)).saga_id;
CREATE FUNCTION saga.go(id bigint) RETURNS text LANGUAGE sql RETURN (oms.signal_saga(id, 'go', NULL, 'purged go ' || id)).status;
CREATE FUNCTION saga.there() RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT string_agg(key || ' ' || status, ', ' ORDER BY saga_id) FROM oms.saga WHERE saga_id > (SELECT last FROM test.saga_before); END;
CREATE FUNCTION saga.leftovers() RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(', ', (SELECT count(*) || ' steps' FROM oms.saga_step t WHERE NOT EXISTS (SELECT FROM oms.saga s WHERE s.saga_id = t.saga_id)),
        (SELECT count(*) || ' signals' FROM oms.saga_signal t WHERE NOT EXISTS (SELECT FROM oms.saga s WHERE s.saga_id = t.saga_id)),
        (SELECT count(*) || ' timers' FROM oms.timer t WHERE kind = 6 AND NOT EXISTS (SELECT FROM oms.saga s WHERE s.saga_id = t.subject_id))); END;
CREATE FUNCTION saga.metrics() RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT string_agg(format('%s%s %s', regexp_replace(name, 'oms_(saga_)?', ''), ' ' || (labels ->> 'step'), value), ', ' ORDER BY name, labels) FROM oms.saga_metrics()
    WHERE labels ->> 'definition' = 'purged' AND name !~ 'parked|active'; END;

-- Bad input.
SELECT test.fails(call, 'OM001', call) FROM unnest(ARRAY['SELECT oms.purge_sagas(NULL)', 'SELECT oms.purge_sagas(''-1 second'')', 'SELECT oms.purge_sagas(''200 years'')',
    'SELECT oms.purge_sagas(''178000000 years'')', 'SELECT oms.purge_sagas(''1 day'', 0)', 'SELECT oms.purge_sagas(''1 day'', 10001)']) call;

-- Five that wait, one that is parked, seven that are over; the last of them too young.
SELECT count(saga.start('waits ' || n)) FROM generate_series(1, 5) n;
SELECT saga_id AS parked FROM saga.start('parked', 'undo') saga_id \gset
SELECT status FROM oms.cancel_saga(:parked, 'x', 'purged cancel');
SELECT count(saga.go(saga.start('done ' || n))) FROM generate_series(1, 4) n;
SELECT count(*) FROM (SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks('purged', 10)) c;
SELECT saga_id AS undone FROM oms.saga WHERE key = 'done 4' \gset
SELECT status FROM oms.compensate_saga(:undone, 'x', 'purged compensate');
SELECT saga.start('failed', 'do') AS failed \gset
SELECT saga.go(saga.start('lost')) AS status;
SELECT oms.fail_task(task_id, lease_epoch, 'never', false) FROM oms.claim_tasks('purged');
SET oms.now_override = '2026-06-08 10:00:00+00';
SELECT saga.start('young', 'do') > 0 AS started;
SELECT saga.there();
SELECT saga.metrics() AS metrics \gset
SELECT :'metrics';
-- None of them is that old; those of other tests may be.
DO $$ BEGIN WHILE oms.purge_sagas('7 days 1 second') > 0 LOOP END LOOP; END $$;
SELECT saga.there();
-- In batches, each by somebody who knows nothing of the others; what stays at the front is not in the way.
\c
\t on
\pset format unaligned
SET oms.now_override = '2026-06-08 10:00:00+00';
SELECT oms.purge_sagas('7 days', 2) BETWEEN 1 AND 2 AS some;
\c
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-06-08 10:00:00+00';
DO $$ BEGIN WHILE oms.purge_sagas('7 days', 2) > 0 LOOP END LOOP; END $$;
SELECT saga.there();
SELECT test.equal(saga.leftovers(), '0 steps, 0 signals, 0 timers', 'nothing is left of them');
SELECT test.equal(saga.metrics(), :'metrics', 'the totals are what they were');
SELECT test.fails(format('SELECT oms.saga_status(%s)', :failed), 'OM002', 'a saga that was purged');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');

-- Dead tasks go behind their saga, and nobody else's.
SELECT oms.create_task('purged', 'own', '{}', 'purged own') AS own \gset
SELECT oms.cancel_task(:own, 'x');
SELECT status, count(*) FROM oms.task WHERE queue = 'purged' GROUP BY 1 ORDER BY 1;
SET oms.now_override = '2026-06-10 10:00:00+00';
DO $$ BEGIN WHILE oms.purge_tasks() > 0 LOOP END LOOP; END $$;
SELECT kind, status FROM oms.task WHERE queue = 'purged';
-- An answer that comes to a saga that is not there any more is taken and harms nobody.
SELECT oms.create_task('purged', 'late', '{}', 'purged late') AS late \gset
UPDATE oms.task SET step_id = :failed << 14 WHERE task_id = :late;
SELECT (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('purged');

-- What may still go on, goes on.
SELECT status FROM oms.resume_saga(:parked, 'x', 'purged resume', by_hand => true);
SELECT saga.go(saga_id) FROM oms.saga WHERE key = 'waits 1';
SELECT count(*) FROM (SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks('purged', 10)) c;
SELECT oms.purge_sagas('0', 10);
SELECT saga.there();

-- The saga of an order stays until the order is over: until then canceling it needs to know what was done.
SELECT oms.define_saga('of.order', '{"subject": "order", "steps": [{"name": "a", "kind": "sql", "function": "saga.act", "compensation": null}]}');
SELECT order_id AS open FROM oms.create_order('c', 'USD', '[{"sku": "P", "qty": 1, "price_minor": 5}]', 'purged order 1') \gset
SELECT order_id AS over FROM oms.create_order('c', 'USD', '[{"sku": "P", "qty": 1, "price_minor": 5}]', 'purged order 2') \gset
SELECT status FROM unnest(ARRAY[:'open', :'over']) o, oms.start_saga('of.order', '{}', 'purged ' || o, o);
SELECT status FROM oms.cancel_order(:'over', 'x', 'purged cancel order');
SET oms.now_override = '2027-06-10 10:00:00+00';
DO $$ BEGIN WHILE oms.purge_sagas('1 hour') > 0 LOOP END LOOP; END $$;
SELECT test.equal((SELECT string_agg(key, ',') FROM oms.saga WHERE definition = 'of.order'), :'open', 'that of the open order is there');
-- The built-in one of an order that is paid and confirmed, and may be canceled with a refund.
RESET oms.now_override;
SELECT test.ok((oms.set_stock('PURGE', 5, test.key())) IS NOT NULL, 'stock');
SELECT order_id AS o FROM oms.create_order('c', 'USD', '[{"sku": "PURGE", "qty": 1, "price_minor": 5}]', 'purged order 3') \gset
SELECT status FROM oms.pay_order(:'o', 'purged pay 3');
CREATE FUNCTION saga.answer_payments() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    answered integer := 0;
    t record;
BEGIN
    LOOP
        FOR t IN SELECT * FROM oms.claim_tasks('payments', 100) LOOP
            PERFORM oms.complete_task(t.task_id, t.lease_epoch, '{"provider_ref": "p"}');
            answered := answered + 1;
        END LOOP;
        IF NOT FOUND THEN RETURN answered; END IF;
    END LOOP;
END $$;
SELECT saga.answer_payments() >= 2 AS answered;
SELECT o.status, s.status FROM oms.orders o JOIN oms.saga s ON s.key = o.order_id::text WHERE order_id = :'o';
DO $$ BEGIN WHILE oms.purge_sagas('0') > 0 LOOP END LOOP; END $$;
SELECT status FROM oms.cancel_order(:'o', 'second thoughts', 'purged cancel 3');
-- Also while its money is on its way back.
DO $$ BEGIN WHILE oms.purge_sagas('0') > 0 LOOP END LOOP; END $$;
SELECT count(*) FROM oms.saga WHERE key = :'o';
SELECT saga.answer_payments() >= 1 AS answered;
SELECT o.status, s.status, o.refunded_minor FROM oms.orders o JOIN oms.saga s ON s.key = o.order_id::text WHERE order_id = :'o';
DO $$ BEGIN WHILE oms.purge_sagas('0') > 0 LOOP END LOOP; END $$;
SELECT count(*) FROM oms.saga WHERE key = :'o';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DROP SCHEMA saga CASCADE;
DROP TABLE test.saga_before;
