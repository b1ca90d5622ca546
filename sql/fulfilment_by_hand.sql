-- Goal: money that an operator has returned by other means is never asked of the provider again: what is undone by hand is undone on the payments, in
-- the ledger and on the order as well; and what is not settled yet is not taken for settled.
-- Method: a provider that refuses until the saga is parked; then the operator's word, with the tasks that the provider still gets counted.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
SET oms.actor = 'olga';
CREATE SCHEMA hand;
SELECT on_hand FROM oms.set_stock('HAND-1', 1000, 'hand-1');
SELECT oms.set_fulfilment_policy('{"queue": "hand-payments"}') ->> 'queue';
CREATE FUNCTION hand.answer(answer text DEFAULT 'yes', queue text DEFAULT 'hand-payments') RETURNS text LANGUAGE sql RETURN test.answer(answer, queue);
CREATE FUNCTION hand.state(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' ', o.status, o.pending_action, 'paid', o.paid_minor, 'refunded', o.refunded_minor, '/ saga', s.status, '/ payment', p.status, p.refunded_minor)
    FROM oms.orders o LEFT JOIN oms.saga s ON s.key = o.order_id::text LEFT JOIN oms.payment p USING (order_id) WHERE o.order_id = id; END;
CREATE FUNCTION hand.saga_of(id uuid) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT saga_id FROM oms.saga WHERE key = id::text; END;
-- An order of 2500 that is paid for, as far as the policy goes.
CREATE FUNCTION hand.paid(policy jsonb DEFAULT '{}') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
BEGIN
    SELECT order_id INTO id FROM oms.create_order('c', 'EUR', '[{"sku": "HAND-1", "qty": 1, "price_minor": 2500}]', test.key());
    PERFORM oms.pay_order(id, test.key(), policy);
    WHILE hand.answer() <> 'nothing to do' LOOP END LOOP;
    RETURN id;
END $$;
-- The provider refuses whatever it is asked, until the saga has had enough. Answers how often it was asked, and for what.
CREATE FUNCTION hand.park(id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    asked text;
    kinds text[];
BEGIN
    FOR i IN 1..2000 LOOP
        EXIT WHEN (SELECT status FROM oms.saga WHERE key = id::text) = 'parked';
        asked := hand.answer('account closed');
        IF asked <> 'nothing to do' THEN kinds := kinds || asked; END IF;
        PERFORM set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + interval '7 minutes')::text, false);
        PERFORM oms.run_due();
    END LOOP;
    RETURN format('%s times %s', cardinality(kinds), (SELECT string_agg(DISTINCT k, ', ') FROM unnest(kinds) k));
END $$;

-- A refund that the provider refuses for good, and the money is in the customer's hands.
SELECT hand.paid() AS a \gset
SELECT status, pending_action FROM oms.cancel_order(:'a', 'second thoughts', test.key());
SELECT hand.park(:'a'), hand.state(:'a');
SELECT hand.saga_of(:'a') AS saga \gset
SELECT why, replace(what_to_do, :'saga', 'N') FROM oms.stuck WHERE id = :'saga';
SELECT state, replace(detail, 'Saga ' || :'saga', 'Saga N'), hint FROM test.outcome(format('SELECT oms.ship_order(%L, test.key())', :'a'));
SELECT status FROM oms.resume_saga(:saga, 'paid back in cash, receipt 4711', 'hand-a', by_hand => true);
SELECT status, replayed FROM oms.resume_saga(:saga, 'paid back in cash, receipt 4711', 'hand-a', by_hand => true);
SELECT hand.state(:'a');
SELECT test.equal(hand.answer(), 'nothing to do', 'the provider is not asked for the same money again');
SELECT on_hand, reserved FROM oms.stock WHERE sku = 'HAND-1';
SELECT name, status, outcome FROM oms.saga_step WHERE saga_id = :saga AND outcome IS NOT NULL ORDER BY step_id;
SELECT kind, status, amount_minor, task_id IS NULL AS of_nobody, result FROM oms.payment_operation WHERE order_id = :'a' AND status = 'succeeded' ORDER BY requested_at, amount_minor;
SELECT status, amount_minor, reason FROM oms.refund WHERE order_id = :'a' AND status = 'done';
SELECT account, sum(amount_minor) FROM oms.ledger_entry WHERE order_id = :'a' GROUP BY 1 ORDER BY 1;
SELECT type, payload ->> 'status', payload -> 'amount_minor', payload ->> 'reason', payload -> 'by_hand', headers ->> 'actor' FROM oms.event
WHERE aggregate_type = 'payment' AND payload ->> 'order_id' = :'a' ORDER BY seq DESC LIMIT 1;
SELECT actor, operation, reason, after FROM oms.audit WHERE object = 'saga ' || :'saga';

-- A void.
SELECT hand.paid('{"auth_only": true}') AS b \gset
SELECT status FROM oms.cancel_order(:'b', 'x', test.key());
SELECT hand.park(:'b'), hand.state(:'b');
SELECT status FROM oms.resume_saga(hand.saga_of(:'b'), 'released in their console', test.key(), by_hand => true);
SELECT hand.state(:'b'), hand.answer();
SELECT reason FROM oms.payment WHERE order_id = :'b';

-- Only what is left is undone by hand; and while a refund is under way nobody can say what that is.
SELECT hand.paid() AS c \gset
SELECT status FROM oms.refund_order(:'c', 700, 'late', test.key());
SELECT hand.answer();
SELECT status FROM oms.cancel_order(:'c', 'x', test.key());
SELECT hand.park(:'c'), hand.state(:'c');
SELECT status FROM oms.refund_payment((SELECT payment_id FROM oms.payment WHERE order_id = :'c'), 300, 'a part of it works', test.key());
SELECT regexp_replace(message, '\d+', 'N'), regexp_replace(detail, '[0-9a-f-]{36}', 'ID'), hint
FROM test.outcome(format('SELECT oms.resume_saga(%s, ''cash'', test.key(), by_hand => true)', hand.saga_of(:'c')));
SELECT test.fails(format('SELECT oms.resume_saga(%s, ''cash'', test.key(), by_hand => true)', hand.saga_of(:'c')), 'OM021', 'a refund is under way');
SELECT hand.state(:'c');
-- The provider never got it: it is withdrawn.
SELECT oms.cancel_task(max(task_id), 'it will not work') FROM oms.task WHERE kind = 'payment.refund' AND payload ->> 'order_id' = :'c' AND status = 'ready';
SELECT status FROM oms.resume_saga(hand.saga_of(:'c'), 'cash', test.key(), by_hand => true);
SELECT hand.state(:'c'), hand.answer();
SELECT amount_minor, status, reason FROM oms.refund WHERE order_id = :'c' AND status = 'done' ORDER BY requested_at;

-- A step that is not about money is the operator's alone; the money goes back through the provider, once.
SELECT hand.paid('{"shipping": true}') AS d \gset
SELECT hand.answer('yes', 'shipping'), hand.state(:'d');
SELECT status FROM oms.cancel_order(:'d', 'x', test.key());
SELECT hand.answer('already on its way', 'shipping'), hand.state(:'d');
SELECT hand.saga_of(:'d') AS saga \gset
SELECT why, replace(what_to_do, :'saga', 'N') FROM oms.stuck WHERE id = :'saga';
SELECT status FROM oms.resume_saga(:saga, 'the carrier has it back', test.key(), by_hand => true);
SELECT hand.answer(), hand.answer(), hand.state(:'d');

-- What the provider refused is settled: its dead tasks are not brought back, each with a key of its own. Nor is one that nobody knows about: the provider is asked what became of it.
SELECT count(*) FROM oms.list_tasks('{"queue": "hand-payments", "status": "dead"}', "limit" => 1000);
SELECT count(*) FROM oms.replay_tasks(filter => '{"queue": "hand-payments"}', "limit" => 1000);
SELECT hand.paid() AS e \gset
SELECT status FROM oms.refund_order(:'e', 500, 'late', test.key());
SELECT count(*) FROM oms.claim_tasks('hand-payments', 1, interval '1 second');
SELECT oms.cancel_task(max(task_id), 'the worker is gone') FROM oms.task WHERE queue = 'hand-payments' AND status = 'leased';
SELECT kind, last_error FROM oms.replay_tasks(filter => '{"queue": "hand-payments"}', dry_run => false, reason => 'it is back');
SELECT hand.answer(), hand.answer(), hand.state(:'e');

-- Nothing was returned twice: for each order, what the customer gave is what he got.
SELECT test.nothing($$SELECT order_id, sum(amount_minor) FROM oms.ledger_entry JOIN oms.orders USING (order_id) WHERE customer_id = 'c' AND account = 'customer' AND pending_action IS NULL AND status = 'canceled'
    GROUP BY 1 HAVING sum(amount_minor) <> 0$$, 'the ledger is even');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
SET client_min_messages = warning;
DROP SCHEMA hand CASCADE;
