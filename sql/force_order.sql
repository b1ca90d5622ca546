-- Goal: force_order is an operator's last resort: it sets any known status, moves no money, and leaves who did it and why.
-- Method: force against the machine, then the row, the event and the audit; replays; what it refuses.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';

SELECT test.make_order('shipped') AS a \gset
SELECT status, version, paid_minor, refunded_minor, replayed FROM oms.force_order(:'a', 'paid', 'parcel came back', 'ann', 'force-1');
SELECT status, version, replayed FROM oms.force_order(:'a', 'paid', 'parcel came back', 'ann', 'force-1');
SELECT at, session_role = session_user AS who, actor, operation, replace(object, :'a', 'ORDER') AS object, reason, before, after FROM oms.audit WHERE object = 'order ' || :'a';
SELECT seq, type, prev_status, status, reason FROM oms.order_timeline(:'a') WHERE seq > 5;
-- From there the machine goes on.
SELECT status FROM test.advance(:'a', 'confirm');

-- Out of a final state, to a state of the owner's, to the same state, under the British name.
SELECT test.make_order('canceled') AS b \gset
SELECT status FROM oms.force_order(:'b', 'pending', 'it was not meant', 'ann', test.key());
INSERT INTO oms.order_status (status) VALUES ('archived');
SELECT status FROM oms.force_order(:'b', 'archived', 'x', 'ann', test.key());
SELECT status, version FROM oms.force_order(:'b', 'archived', 'x', 'ann', test.key());
SELECT status FROM oms.force_order(:'b', 'cancelled', 'x', 'ann', test.key());
DELETE FROM oms.order_status WHERE status = 'archived';
SELECT test.fails(format($$SELECT oms.force_order(%L, 'archived', 'x', 'ann', test.key())$$, :'b'), 'OM001', 'a state that is gone');
SELECT test.fails(format($$SELECT oms.force_order(%L, 'PAID', 'x', 'ann', test.key())$$, :'b'), 'OM001', 'a state in capitals');

-- An operation that has the order is ended by force; ordinary commands wait for it.
SELECT test.make_order('paid') AS p \gset
UPDATE oms.orders SET pending_action = 'canceling' WHERE order_id = :'p';
SELECT test.fails(format($$SELECT test.advance(%L, 'confirm')$$, :'p'), 'OM005', 'a transition while an operation has the order');
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1, 'x', test.key())$$, :'p'), 'OM005', 'a refund while an operation has the order');
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "a", "qty": 1, "price_minor": 2500}]', test.key())$$, :'p'), 'OM005', 'an amendment while an operation has the order');
SELECT pending_action, on_hold FROM oms.hold_order(:'p', 'x', test.key());
SELECT status, pending_action FROM oms.force_order(:'p', 'confirmed', 'stuck', 'bob', test.key());
SELECT before -> 'pending_action' AS before, after -> 'pending_action' AS after, (before ->> 'version')::int + 1 = (after ->> 'version')::int AS counted
FROM oms.audit WHERE actor = 'bob';

-- Who and why must be said; and what fails is not in the audit.
SELECT test.fails(format('SELECT oms.force_order(%L, ''paid'', %L, %L, test.key())', :'p', reason, actor), 'OM001', format('reason %s, actor %s', reason, actor))
FROM (VALUES (NULL, 'ann'), ('', 'ann'), ('x', NULL), ('x', ''), (repeat('x', 2001), 'ann'), ('x', repeat('a', 256))) v(reason, actor);
SELECT test.fails(format($$SELECT oms.force_order(%L, 'paid', 'x', 'ann')$$, :'p'), 'OM007', 'force without a key');
SELECT test.fails($$SELECT oms.force_order('00000000-0000-7000-8000-000000000000', 'paid', 'x', 'ann', test.key())$$, 'OM002', 'force of what is not there');
BEGIN;
SELECT status FROM oms.force_order(:'p', 'paid', 'rolled back', 'eve', test.key());
ROLLBACK;
SELECT test.equal(array_agg(DISTINCT actor ORDER BY actor), '{ann,bob}'::text[], 'the audit has what was done, and only that') FROM oms.audit;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');

-- The goods follow as far as they can: what is done with them keeps none reserved, and none go back while money is held.
SELECT oms.set_stock('FORCE-1', 10, test.key()) IS NULL AS set;
CREATE FUNCTION pg_temp.with_goods() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (oms.reserve(order_id, test.key())).order_id FROM oms.create_order('c', 'EUR', '[{"sku": "FORCE-1", "qty": 3, "price_minor": 5}]', test.key())
$$;
SELECT pg_temp.with_goods() AS lost, pg_temp.with_goods() AS sent \gset
SELECT status FROM oms.force_order(:'lost', 'canceled', 'lost', 'ann', test.key());
SELECT status FROM oms.force_order(:'sent', 'shipped', 'sent by hand', 'ann', test.key());
SELECT on_hand, reserved FROM oms.stock WHERE sku = 'FORCE-1';
-- An order that a saga is at work for is not forced.
SELECT order_id AS busy FROM oms.create_order('c', 'EUR', '[{"sku": "FORCE-1", "qty": 1, "price_minor": 5}]', test.key()) \gset
SELECT status, pending_action FROM oms.pay_order(:'busy', test.key(), '{"queue": "forced"}');
SELECT state, replace(message, :'busy', 'ORDER') AS message, regexp_replace(detail, '\d+', 'N', 'g') AS detail, hint
FROM test.outcome(format($$SELECT oms.force_order(%L, 'canceled', 'because', 'ann', test.key())$$, :'busy'));
SELECT pending_action FROM oms.cancel_order(:'busy', 'no longer wanted', test.key());
SELECT count(oms.fail_task(task_id, lease_epoch, 'card expired', false)) FROM oms.claim_tasks('forced', 10);
SELECT status FROM oms.saga WHERE key = :'busy';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
