-- Goal: what an owner adds to the rules counts like what is built in: final statuses, refunds, routes, the actor of a forced change; and a repeated append is
-- told from a new one.
-- Method: states, transitions and routes of his own, in a transaction that is rolled back so that the built-in rules are alone again afterwards.
\set QUIET on
\pset tuples_only on
\pset format unaligned
BEGIN;
INSERT INTO oms.order_status (status, is_final) VALUES ('picked', false), ('returned', true);
INSERT INTO oms.order_transition (from_status, action, to_status, blocked_by_hold, effect, event_type) VALUES
    ('confirmed', 'pick', 'picked', true, 'none', 'order.picked'),
    ('picked', 'ship', 'shipped', true, 'none', 'order.shipped'),
    ('picked', 'refund', 'returned', false, 'refund_rest', 'order.returned');

-- Nothing leads out of a final status, whichever of the two comes last.
SAVEPOINT s;
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('returned', 'pick', 'picked', 'order.picked');
ROLLBACK TO s;
UPDATE oms.order_status SET is_final = true WHERE status = 'picked';
ROLLBACK TO s;

SELECT order_id FROM oms.create_order('owner', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 100}]', 'owner-1') \gset
SELECT (oms.advance_order(:'order_id', action, 'owner-' || action)).status FROM unnest('{reserve, pay, confirm, pick}'::text[]) action;
SELECT on_hold FROM oms.hold_order(:'order_id', 'look', 'owner-hold');

-- A part is refunded in the owner's state; the rest takes his transition, and ends the hold.
SELECT status, refunded_minor, on_hold FROM oms.refund_order(:'order_id', 40, 'scratched', 'owner-part');
SELECT status, refunded_minor, on_hold FROM oms.refund_order(:'order_id', NULL, 'all of it', 'owner-rest');
-- Money that a provider gives back counts the same: the last of it takes the owner's transition.
CREATE FUNCTION test.provider_says_yes() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(kind || ' ' || oms.complete_task(task_id, lease_epoch, '{"provider_ref": "p"}'), ', ' ORDER BY task_id) FROM oms.claim_tasks('owner-payments', 10) $$;
SELECT oms.set_fulfilment_policy('{"queue": "owner-payments"}') ->> 'queue';
SELECT order_id AS paid FROM oms.create_order('owner', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 100}]', 'owner-paid') \gset
SELECT payment_id AS payment FROM oms.authorize_payment(:'paid', NULL, 'owner-authorize') \gset
SELECT test.provider_says_yes();
SELECT status FROM oms.capture_payment(:'payment', NULL, NULL, 'owner-capture');
SELECT test.provider_says_yes();
SELECT status FROM oms.advance_order(:'paid', 'reserve', 'owner-paid-reserve');
SELECT status FROM oms.advance_order(:'paid', 'pay', 'owner-paid-pay');
SELECT status FROM oms.advance_order(:'paid', 'confirm', 'owner-paid-confirm');
SELECT status FROM oms.advance_order(:'paid', 'pick', 'owner-paid-pick');
SELECT status, refunded_minor FROM oms.refund_order(:'paid', 40, 'scratched', 'owner-paid-part');
SELECT test.provider_says_yes();
SELECT status, refunded_minor FROM oms.refund_order(:'paid', NULL, 'all of it', 'owner-paid-rest');
SELECT test.provider_says_yes();
SELECT status, refunded_minor FROM oms.orders WHERE order_id = :'paid';
SELECT string_agg(type, ' ' ORDER BY seq) FROM oms.event WHERE aggregate_id = :'paid';
DROP FUNCTION test.provider_says_yes;
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT on_hold FROM oms.hold_order(:'order_id', 'late', 'owner-late');
ROLLBACK TO s;
SELECT on_hold FROM oms.release_hold(:'order_id', 'owner-release');
ROLLBACK TO s;
SELECT items FROM oms.amend_order(:'order_id', '[{"sku": "b", "qty": 1, "price_minor": 100}]', 'owner-amend') items;
ROLLBACK TO s;
\set VERBOSITY default
SELECT oms.order_machine_graph() LIKE '%returned --> [*]%';

-- Who forced a change is in its event.
SELECT status FROM oms.force_order(:'order_id', 'paid', 'the parcel came back', 'anna', 'owner-force');
SELECT type, actor, reason FROM oms.order_timeline(:'order_id') ORDER BY seq DESC LIMIT 2;

-- His route wins over the built-in one, which stays as it is.
INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', '*', 'mine'), ('order', 'order.canceled', NULL);
SELECT status FROM oms.cancel_order(:'order_id', 'enough', 'owner-cancel');
SELECT type, topic FROM oms.event WHERE aggregate_id = :'order_id' ORDER BY seq DESC LIMIT 2;
SAVEPOINT s;
UPDATE oms.topic_route SET topic = 'elsewhere' WHERE builtin;
ROLLBACK TO s;
DELETE FROM oms.topic_route WHERE builtin;
ROLLBACK TO s;

-- An append with a key happens once.
SELECT version, replayed, last_id - first_id AS more FROM oms.append_events('diary', 'd', NULL, '[{"type": "a", "payload": {}}, {"type": "b", "payload": {}}]', 'diary-1');
SELECT version, replayed, last_id - first_id AS more FROM oms.append_events('diary', 'd', NULL, '[{"type": "a", "payload": {}}, {"type": "b", "payload": {}}]', 'diary-1');
SELECT version, replayed FROM oms.append_events('diary', 'd', NULL, '[{"type": "a", "payload": {}}]', 'diary-2');
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT version FROM oms.append_events('diary', 'd', NULL, '[{"type": "c", "payload": {}}]', 'diary-2');
ROLLBACK TO s;
\set VERBOSITY default
SELECT count(*) FROM oms.read_stream('diary', 'd');
SELECT * FROM oms.check_integrity();
ROLLBACK;

-- The rules are the built-in ones again, in this session too.
SELECT count(*) FILTER (WHERE NOT builtin) FROM oms.order_machine();

-- What a role was given can be taken back.
CREATE ROLE regress_oms_visitor;
SELECT oms.grant_operator('regress_oms_visitor');
SELECT has_schema_privilege('regress_oms_visitor', 'oms', 'USAGE'), has_table_privilege('regress_oms_visitor', 'oms.orders', 'SELECT');
SELECT oms.revoke_all('regress_oms_visitor');
SELECT has_schema_privilege('regress_oms_visitor', 'oms', 'USAGE'), has_table_privilege('regress_oms_visitor', 'oms.orders', 'SELECT'),
       (SELECT count(*) FROM pg_proc WHERE pronamespace = 'oms'::regnamespace AND has_function_privilege('regress_oms_visitor', oid, 'EXECUTE'));
DROP ROLE regress_oms_visitor;
