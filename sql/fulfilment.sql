-- Goal: the built-in saga takes an order from pending to confirmed, and back from wherever it stands; the money first, then the goods; and what the
-- policy says happens, and nothing else.
-- Method: a provider that answers by hand; every step of the saga as the place where it fails or is canceled; cancel and refund of orders without a saga.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
CREATE SCHEMA ff;
SELECT on_hand FROM oms.set_stock('FF-1', 1000, 'ff-1');
SELECT on_hand FROM oms.set_stock('FF-2', 1000, 'ff-2');
-- Gives the next task of a queue an answer: "yes", "no", or an error that may pass.
CREATE FUNCTION ff.answer(queue text, answer text DEFAULT 'yes', result jsonb DEFAULT '{"provider_ref": "p"}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO t FROM oms.claim_tasks(queue, 1);
    IF t.task_id IS NULL THEN RETURN 'nothing to do'; END IF;
    IF answer = 'yes' THEN PERFORM oms.complete_task(t.task_id, t.lease_epoch, result);
    ELSE PERFORM oms.fail_task(t.task_id, t.lease_epoch, answer, answer <> 'no'); END IF;
    RETURN t.kind;
END $$;
CREATE FUNCTION ff.state(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' ', o.status, o.pending_action, o.paid_minor, o.refunded_minor, '/', s.status, '/ held', (SELECT sum(reserved) FROM oms.stock WHERE sku LIKE 'FF-%'))
    FROM oms.orders o LEFT JOIN oms.saga s ON s.key = o.order_id::text WHERE o.order_id = id; END;
CREATE FUNCTION ff.make_order() RETURNS uuid LANGUAGE sql BEGIN ATOMIC
    SELECT order_id FROM oms.create_order('c', 'EUR', '[{"sku": "FF-1", "qty": 2, "price_minor": 1000}, {"sku": "FF-2", "qty": 1, "price_minor": 500}]', test.key()); END;
-- The tasks of this shop's payments go to a queue of their own.
SELECT oms.set_fulfilment_policy('{"queue": "ff-payments"}') ->> 'queue';
CREATE FUNCTION ff.pay(policy jsonb DEFAULT NULL) RETURNS uuid LANGUAGE sql AS $$ SELECT order_id FROM oms.pay_order(ff.make_order(), test.key(), policy) $$;

-- The whole way.
SELECT ff.make_order() AS a \gset
SELECT status, pending_action, replayed FROM oms.pay_order(:'a', 'ff-pay-a');
SELECT status, pending_action, replayed FROM oms.pay_order(:'a', 'ff-pay-a');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key())', :'a'), 'OM005', 'an order that is being paid is not paid again');
SELECT test.fails(format('SELECT oms.ship_order(%L, test.key())', :'a'), 'OM005', 'nor shipped');
-- Every command that is refused names the saga that has the order, and what it waits for.
CREATE FUNCTION ff.refusals(id uuid) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT split_part(command, '(', 1) || ': ' || regexp_replace(regexp_replace(concat_ws('|', state, message, detail, hint), '[0-9a-f]{8}-[-0-9a-f]+', 'ORDER'), '(Saga|task) [0-9]+', '\1 N', 'g')
    FROM unnest(ARRAY['advance_order(%L, ''confirm'', test.key())', 'ship_order(%L, test.key())', 'complete_order(%L, test.key())', 'refund_order(%L, 1, ''x'', test.key())',
        'amend_order(%L, ''[{"sku": "FF-1", "qty": 1, "price_minor": 1}]'', test.key())', 'reserve(%L, test.key())', 'release(%L, ''x'', test.key())', 'pay_order(%L, test.key())',
        'authorize_payment(%L, 1, test.key())']) WITH ORDINALITY c(command, n), test.outcome('SELECT oms.' || format(command, id)) ORDER BY n $$;
SELECT ff.refusals(:'a');
SELECT ff.answer('ff-payments'), ff.state(:'a');
SELECT ff.answer('ff-payments'), ff.state(:'a');
SELECT test.timeline(:'a');
SELECT on_hand, reserved FROM oms.stock WHERE sku LIKE 'FF-%' ORDER BY sku;
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key())', :'a'), 'OM003', 'what is confirmed is not paid again');

-- Canceled when it is confirmed: the money, then the goods.
SELECT status, pending_action FROM oms.cancel_order(:'a', 'second thoughts', 'ff-cancel-a');
SELECT status, pending_action, replayed FROM oms.cancel_order(:'a', 'second thoughts', 'ff-cancel-a');
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'a'), 'OM005', 'it is not canceled twice at a time');
SELECT * FROM ff.refusals(:'a') LIMIT 1;
SELECT ff.state(:'a');
SELECT ff.answer('ff-payments'), ff.state(:'a');
SELECT on_hand, reserved FROM oms.stock WHERE sku LIKE 'FF-%' ORDER BY sku;
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'a'), 'OM003', 'nor again when it is');

-- Canceled at each point before: while the authorization is under way its answer is waited for.
SELECT ff.pay() AS b \gset
SELECT status, pending_action FROM oms.cancel_order(:'b', 'too slow', test.key());
SELECT ff.state(:'b');
SELECT ff.answer('ff-payments'), ff.state(:'b');
SELECT ff.answer('ff-payments'), ff.state(:'b');
SELECT ff.pay() AS c \gset
SELECT status FROM oms.cancel_order(:'c', 'too slow', test.key());
SELECT ff.answer('ff-payments', 'no'), ff.state(:'c');
-- While the capture is under way.
SELECT ff.pay() AS d \gset
SELECT ff.answer('ff-payments');
SELECT status FROM oms.cancel_order(:'d', 'too slow', test.key());
SELECT ff.answer('ff-payments'), ff.state(:'d');
SELECT ff.answer('ff-payments'), ff.state(:'d');

-- The provider says no.
SELECT ff.pay() AS e \gset
SELECT ff.answer('ff-payments', 'no'), ff.state(:'e');
SELECT test.timeline(:'e');
SELECT ff.pay() AS f \gset
SELECT ff.answer('ff-payments');
SELECT ff.answer('ff-payments', 'no'), ff.state(:'f');
SELECT ff.answer('ff-payments'), ff.state(:'f');

-- A time-out is not a no: the provider is asked, and the order waits.
SELECT ff.pay() AS g \gset
SELECT count(*) FROM oms.claim_tasks('ff-payments', 1, interval '1 second');
SET oms.now_override = '2026-03-01 10:00:31+00';
SELECT oms.run_due() > 0;
SELECT ff.state(:'g');
SELECT kind FROM oms.task WHERE queue = 'ff-payments' AND status = 'ready';
SELECT ff.answer('ff-payments', 'yes', '{"outcome": "succeeded", "provider_ref": "p"}'), ff.state(:'g');
SELECT ff.answer('ff-payments'), ff.state(:'g');

-- Short of goods: the timeline says what, and nothing was charged.
SELECT order_id AS h FROM oms.create_order('c', 'EUR', '[{"sku": "FF-1", "qty": 5000, "price_minor": 1}]', test.key()) \gset
SELECT status, pending_action FROM oms.pay_order(:'h', test.key());
SELECT test.timeline(:'h');
SELECT ff.answer('ff-payments');

-- Policies.
SELECT ff.pay('{"auth_only": true}') AS i \gset
SELECT ff.answer('ff-payments'), ff.state(:'i');
SELECT status, pending_action FROM oms.cancel_order(:'i', 'x', test.key());
SELECT ff.answer('ff-payments'), ff.state(:'i');
SELECT ff.pay('{"checks": ["fraud", "credit"], "verify_above_minor": 2000}') AS j \gset
SELECT ff.answer('checks'), ff.answer('checks'), ff.answer('ff-payments');
SELECT ff.answer('checks'), ff.answer('ff-payments');
SELECT ff.answer('ff-payments'), ff.state(:'j');
SELECT ff.pay('{"checks": ["fraud"]}') AS k \gset
SELECT ff.answer('checks', 'no'), ff.state(:'k');
SELECT ff.pay('{"verify_above_minor": 2500}') AS l \gset
SELECT ff.answer('ff-payments'), ff.answer('ff-payments'), ff.state(:'l');
SELECT ff.pay('{"capture_delay_ms": 60000}') AS m \gset
SELECT ff.answer('ff-payments'), ff.answer('ff-payments'), ff.state(:'m');
SET oms.now_override = '2026-03-01 10:01:31+00';
SELECT oms.run_due() > 0;
SELECT ff.answer('ff-payments'), ff.state(:'m');
SELECT ff.pay('{"shipping": true}') AS n \gset
SELECT ff.answer('ff-payments'), ff.answer('ff-payments'), ff.state(:'n');
SELECT ff.answer('shipping', 'no'), ff.state(:'n');
SELECT ff.answer('ff-payments'), ff.state(:'n');
SELECT (oms.set_fulfilment_policy('{"stock": false}') ->> 'stock');
SELECT order_id AS o FROM oms.create_order('c', 'EUR', '[{"sku": "not ours", "qty": 1, "price_minor": 1}]', test.key()) \gset
SELECT status FROM oms.pay_order(:'o', test.key());
SELECT ff.answer('ff-payments'), ff.answer('ff-payments'), ff.state(:'o');
SELECT (oms.set_fulfilment_policy('{"stock": true}') ->> 'stock');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), ''{"auth": true}'')', :'o'), 'OM001', 'an unknown member');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), ''{"auth_only": "yes"}'')', :'o'), 'OM001', 'a member of the wrong type');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), ''[]'')', :'o'), 'OM001', 'a policy that is no object');
SELECT count(*) AS sagas FROM oms.saga \gset
CREATE FUNCTION ff.refused(policy jsonb, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM test.fails(format('SELECT oms.pay_order(%L, test.key(), %L)', test.make_order(), policy), 'OM001', 'an order with ' || what);
    RETURN test.fails(format('SELECT oms.set_fulfilment_policy(%L)', policy), 'OM001', what);
END $$;
SELECT ff.refused(policy::jsonb, what) FROM (VALUES
    ('{"checks": ["credit", "cerdit"]}', 'a check that is none'),
    ('{"checks": [1]}', 'a check that is a number'),
    ('{"checks": [["credit"]]}', 'a list of lists'),
    ('{"queue": ""}', 'a queue without a name'),
    (format('{"queue": "%s"}', repeat('q', 101)), 'a queue with too long a name'),
    ('{"provider": ""}', 'a provider without a name'),
    (format('{"provider": "%s"}', repeat('p', 61)), 'a provider with too long a name'),
    ('{"capture_delay_ms": -1}', 'a delay into the past'),
    ('{"capture_delay_ms": 1.5}', 'half a millisecond'),
    ('{"capture_delay_ms": 2419200001}', 'more than the saga has'),
    ('{"capture_delay_ms": 1e30}', 'a number beyond all time'),
    ('{"capture_delay_ms": null}', 'no number'),
    ('{"verify_above_minor": -1}', 'an amount below nothing'),
    ('{"verify_above_minor": 0.5}', 'half a minor unit'),
    ('{"verify_above_minor": 9223372036854775808}', 'an amount beyond all orders')) bad (policy, what);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.set_fulfilment_policy('{"checks": ["cerdit"]}')$$);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.set_fulfilment_policy('{"capture_delay_ms": -1}')$$);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.set_fulfilment_policy('{"provider": ""}')$$);
-- The ends of the ranges are in them.
SELECT test.equal(oms.set_fulfilment_policy(jsonb_build_object('checks', '[]'::jsonb, 'capture_delay_ms', 2419200000, 'verify_above_minor', 9223372036854775807, 'queue', repeat('q', 100), 'provider', repeat('p', 60))) - '{auth_only,stock,shipping}'::text[],
    jsonb_build_object('checks', '[]'::jsonb, 'capture_delay_ms', 2419200000, 'verify_above_minor', 9223372036854775807, 'queue', repeat('q', 100), 'provider', repeat('p', 60)), 'limits');
SELECT oms.set_fulfilment_policy('{"capture_delay_ms": 0, "verify_above_minor": null, "queue": "ff-payments", "provider": "default"}') ->> 'queue';
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), method => %L)', test.make_order(), method), 'OM001', 'a method that is ' || method)
FROM unnest(ARRAY['[1]', '1', 'true', 'null', '"tok_1"']) method;
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), method => %L)', test.make_order(), jsonb_build_object('token', repeat('x', 16384))), 'OM001', 'a method that is a document');
SELECT test.equal((SELECT count(*) FROM oms.saga), :sagas, 'nothing was begun');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key())', test.make_order('canceled')), 'OM003', 'a canceled order');
SELECT test.fails('SELECT oms.pay_order(''00000000-0000-0000-0000-000000000000'', test.key())', 'OM002', 'no order');
SELECT test.fails(format('SELECT oms.pay_order(%L)', :'o'), 'OM007', 'no key');
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key(), expected_version => 99)', :'o'), 'OM006', 'another version');
-- A free order needs no provider.
SELECT order_id AS p FROM oms.create_order('c', 'EUR', '[{"sku": "FF-1", "qty": 1, "price_minor": 0}]', test.key()) \gset
SELECT status, pending_action FROM oms.pay_order(:'p', test.key());

-- On hold: it is not begun; put on hold in the middle it waits, and goes on when it is released.
SELECT ff.make_order() AS q \gset
SELECT on_hold FROM oms.hold_order(:'q', 'fraud?', test.key());
SELECT test.fails(format('SELECT oms.pay_order(%L, test.key())', :'q'), 'OM004', 'an order on hold');
SELECT ff.pay() AS r \gset
SELECT on_hold FROM oms.hold_order(:'r', 'fraud?', test.key());
SELECT ff.answer('ff-payments'), ff.answer('ff-payments'), ff.state(:'r');
SELECT waits_for FROM oms.saga WHERE key = :'r';
SELECT on_hold FROM oms.release_hold(:'r', test.key());
SET oms.now_override = '2026-03-01 10:01:40+00';
SELECT oms.run_due() > 0;
SELECT ff.state(:'r');

-- Refunds of what the provider holds: counted when he has done it, and never more than was captured.
SELECT status, refunded_minor FROM oms.refund_order(:'r', 1000, 'a scratch', 'ff-refund-r');
SELECT test.fails(format('SELECT oms.refund_order(%L, 1501, ''x'', test.key())', :'r'), 'OM013', 'more than is left');
SELECT test.fails(format('SELECT oms.refund_order(%L, 0, ''x'', test.key())', :'r'), 'OM001', 'nothing');
SELECT test.fails(format('SELECT oms.refund_order(%L, -5, ''x'', test.key())', :'r'), 'OM001', 'less than nothing');
SELECT ff.answer('ff-payments'), ff.state(:'r');
SELECT refunded_minor, replayed FROM oms.refund_order(:'r', 1000, 'a scratch', 'ff-refund-r');
SELECT status FROM oms.refund_order(:'r', NULL, 'broken', test.key());
SELECT ff.answer('ff-payments'), ff.state(:'r');
-- A part is back already: the cancel returns the rest.
SELECT ff.pay() AS s \gset
SELECT ff.answer('ff-payments'), ff.answer('ff-payments');
SELECT status FROM oms.refund_order(:'s', 700, 'late', test.key());
SELECT ff.answer('ff-payments');
SELECT status, pending_action FROM oms.cancel_order(:'s', 'never came', test.key());
SELECT payload -> 'amount_minor' FROM oms.task WHERE queue = 'ff-payments' AND status = 'ready';
SELECT ff.answer('ff-payments'), ff.state(:'s');

-- Commands by hand go by the policy that is in force for the order: what it was paid with; for another one what the shop has set; else the defaults.
CREATE FUNCTION ff.asked(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT string_agg(concat_ws(' ', kind, queue, payload ->> 'provider'), ', ' ORDER BY task_id) FROM oms.task WHERE kind LIKE 'payment.%' AND payload ->> 'order_id' = id::text AND status = 'ready'; END;
CREATE FUNCTION ff.payment_of(id uuid) RETURNS uuid LANGUAGE sql BEGIN ATOMIC SELECT payment_id FROM oms.payment WHERE order_id = id; END;
SELECT ff.pay('{"queue": "ff-other", "provider": "acme"}') AS u \gset
SELECT ff.answer('ff-other'), ff.answer('ff-other'), ff.state(:'u');
SELECT status FROM oms.refund_order(:'u', 100, 'late', test.key());
SELECT status FROM oms.refund_payment(ff.payment_of(:'u'), 100, 'late', test.key());
SELECT ff.asked(:'u');
SELECT ff.answer('ff-other'), ff.answer('ff-other'), ff.state(:'u');
SELECT ff.make_order() AS v \gset
SELECT status FROM oms.authorize_payment(:'v', idempotency_key => test.key());
SELECT oms.set_fulfilment_policy('{"provider": "shop-bank"}') ->> 'provider';
SELECT ff.asked(:'v'), ff.answer('ff-payments');
SELECT status FROM oms.capture_payment(ff.payment_of(:'v'), delay => interval '1 hour', idempotency_key => test.key());
SELECT status FROM oms.void_payment(ff.payment_of(:'v'), idempotency_key => test.key());
SELECT ff.asked(:'v'), ff.answer('ff-payments');
SELECT ff.make_order() AS w \gset
SELECT status FROM oms.authorize_payment(:'w', 2000, idempotency_key => 'ff-w');
SELECT status FROM oms.authorize_payment(:'w', 500, idempotency_key => test.key(), provider => 'acme');
SELECT ff.asked(:'w'), ff.answer('ff-payments'), ff.answer('ff-payments');
SELECT status FROM oms.capture_payment((SELECT payment_id FROM oms.payment WHERE order_id = :'w' AND provider = 'acme'), idempotency_key => test.key());
-- The same request is the same one, whatever the shop has set meanwhile.
SELECT oms.set_fulfilment_policy('{"provider": "default"}') ->> 'provider';
SELECT status, replayed FROM oms.authorize_payment(:'w', 2000, idempotency_key => 'ff-w');
SELECT ff.asked(:'w'), ff.answer('ff-payments');

-- The provider is dead when the money has to go back: the goods stay, the saga says so, and the operator lets it go on.
SELECT ff.pay() AS t \gset
SELECT ff.answer('ff-payments'), ff.answer('ff-payments');
SELECT status FROM oms.cancel_order(:'t', 'x', test.key());
SELECT ff.answer('ff-payments', 'no'), ff.state(:'t');
SELECT ff.state(:'t'), regexp_replace(waits_for, '\d+', 'N') FROM oms.saga WHERE key = :'t';
SELECT test.ok((SELECT qty FROM oms.reservation WHERE order_id = :'t' LIMIT 1) > 0, 'the goods are not back before the money');

-- Asked what became of an authorization, the provider says no, and not why: the order is told in words all the same.
SELECT ff.pay() AS x \gset
SELECT count(*) FROM oms.claim_tasks('ff-payments', 1, interval '1 second');
SET oms.now_override = '2026-03-01 10:02:11+00';
SELECT oms.run_due() > 0;
SELECT ff.answer('ff-payments', 'yes', '{"outcome": "refused"}'), ff.state(:'x');
SELECT test.equal(failure, 'step authorize: refused without a reason', 'why') FROM oms.saga WHERE key = :'x';
SELECT type, reason FROM oms.order_timeline(:'x') WHERE type = 'order.canceled';

-- Without a saga everything is as it was.
SELECT status FROM oms.cancel_order(test.make_order('pending'), 'x', test.key());
SELECT status, refunded_minor FROM oms.cancel_order(test.make_order('paid'), 'x', test.key());
SELECT status, refunded_minor FROM oms.refund_order(test.make_order('shipped'), 100, 'x', test.key());

SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
SELECT oms.saga_graph('order_fulfilment');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DROP SCHEMA ff CASCADE;
