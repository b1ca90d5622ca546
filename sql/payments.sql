-- Goal: money is asked for, taken and given back as the payment machine says; refunds never exceed what was captured; what nobody knows is never
-- taken for a failure; the ledger adds up.
-- Method: a provider played by hand: tasks of the queue "payments" claimed and answered with yes, no and nothing; then bad input.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

-- The provider. Answers every waiting task of one kind, in the order they came: 'yes', 'no', or with a result; says how many.
CREATE FUNCTION test.provider(answer text, result jsonb DEFAULT '{}', wanted_kind text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    task record;
    answered bigint := 0;
BEGIN
    FOR task IN SELECT * FROM oms.claim_tasks('payments', 100) ORDER BY task_id LOOP
        IF wanted_kind IS NOT NULL AND task.kind <> 'payment.' || wanted_kind THEN
            RAISE EXCEPTION 'unexpected task %', task.kind;
        END IF;
        IF answer = 'yes' THEN
            PERFORM oms.complete_task(task.task_id, task.lease_epoch, result);
        ELSE
            PERFORM oms.fail_task(task.task_id, task.lease_epoch, answer, false);
        END IF;
        answered := answered + 1;
    END LOOP;
    RETURN answered;
END $$;
-- The provider's tasks are claimed and never answered: three leases end by themselves, and with them the attempts of an authorization or a capture.
CREATE FUNCTION test.claimed() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM oms.claim_tasks('payments', 100, interval '1 minute'));
\set one_lease 'SELECT oms.run_due() IS NOT NULL; SELECT test.claimed();'
\set silence 'SET oms.now_override = ''2097-01-01 00:00''; :one_lease SET oms.now_override = ''2097-01-01 00:10''; :one_lease SET oms.now_override = ''2097-01-01 00:20''; :one_lease SET oms.now_override = ''2097-01-01 00:30''; SELECT oms.run_due() IS NOT NULL; RESET oms.now_override;'
CREATE FUNCTION test.pay(id uuid, amount bigint DEFAULT NULL) RETURNS uuid LANGUAGE sql
    RETURN (SELECT payment_id FROM oms.authorize_payment(id, amount, test.key()));
CREATE FUNCTION test.payment(id uuid) RETURNS text LANGUAGE sql
    RETURN (SELECT format('%s %s/%s/%s+%s', status, authorized_minor, captured_minor, refunded_minor, refund_pending_minor) FROM oms.payment WHERE payment_id = id);
-- A payment of 5000 that is captured, for an order that is paid.
CREATE FUNCTION test.captured() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid := (SELECT order_id FROM oms.create_order('payer', 'EUR', '[{"sku": "x", "qty": 1, "price_minor": 5000}]', test.key()));
    payment uuid := test.pay(id);
BEGIN
    PERFORM test.provider('yes');
    PERFORM oms.capture_payment(payment, idempotency_key => test.key());
    PERFORM test.provider('yes');
    PERFORM test.advance(id, 'reserve');
    PERFORM test.advance(id, 'pay');
    RETURN payment;
END $$;
CREATE FUNCTION test.payment_timeline(id uuid) RETURNS text[] LANGUAGE sql
    RETURN (SELECT array_agg(type ORDER BY seq) FROM oms.list_events(jsonb_build_object('aggregate_type', 'payment', 'aggregate_id', id)));

-- The straight way.
SELECT test.make_order('reserved') AS o \gset
SELECT payment_id AS p FROM oms.authorize_payment(:'o', idempotency_key => 'pay-1', method => '{"token": "tok_1"}') \gset
SELECT status, version, currency, amount_minor, authorized_minor, provider, payment_id = operation_id AS same_id, replayed FROM oms.authorize_payment(:'o', idempotency_key => 'pay-1', method => '{"token": "tok_1"}');
SELECT test.fails(format('SELECT oms.authorize_payment(%L, 1, ''pay-1'')', :'o'), 'OM008', 'the key of another payment');
SELECT kind, attempt, provider_key = :'p' AS keyed, payload - '{payment_id, operation_id, order_id, idempotency_key}'::text[] AS payload,
    array[payload ->> 'payment_id', payload ->> 'idempotency_key', payload ->> 'order_id'] = array[:'p', :'p', :'o'] AS ids, task_id AS t, lease_epoch AS e FROM oms.claim_tasks('payments', 10) \gset
SELECT :'kind', :'attempt', :'keyed', :'payload', :'ids';
SELECT * FROM oms.complete_task(:t, :e, '{"provider_ref": "ch_1"}');
-- The same answer twice is one.
SELECT * FROM oms.complete_task(:t, :e, '{"provider_ref": "ch_1"}');
SELECT test.equal(test.payment(:'p'), 'authorized 2500/0/0+0', 'authorized');
SELECT status, version FROM oms.capture_payment(:'p', idempotency_key => 'capture-1');
SELECT status, version, replayed FROM oms.capture_payment(:'p', idempotency_key => 'capture-1');
SELECT test.fails(format('SELECT oms.capture_payment(%L, idempotency_key => test.key())', :'p'), 'OM005', 'a second capture beside the first');
SELECT test.fails(format('SELECT oms.void_payment(%L, ''x'', test.key())', :'p'), 'OM005', 'a void beside a capture');
SELECT test.provider('yes');
SELECT test.equal(test.payment(:'p'), 'captured 2500/2500/0+0', 'captured');
SELECT status FROM test.advance(:'o', 'pay');
SELECT account, amount_minor FROM oms.ledger_entry WHERE payment_id = :'p' ORDER BY line_no;
SELECT seq, type, payload ->> 'prev_status' AS prev_status, payload ->> 'status' AS status, payload -> 'amount_minor' AS amount, topic, key = :'p' AS keyed
FROM oms.list_events(jsonb_build_object('aggregate_type', 'payment', 'aggregate_id', :'p'));
SELECT test.fails(format('SELECT oms.capture_payment(%L, idempotency_key => test.key())', :'p'), 'OM003', 'captured twice');
SELECT test.fails(format('SELECT oms.void_payment(%L, ''x'', test.key())', :'p'), 'OM003', 'void after the capture');
SELECT test.fails(format('SELECT oms.authorize_payment(%L, NULL, test.key())', :'o'), 'OM003', 'nothing is left to pay');

-- Refunds: a part is a part, two equal ones are two, the amount is reserved before the provider has done it.
SELECT status, refunded_minor, refund_pending_minor FROM oms.refund_payment(:'p', 1000, 'dented', 'back-1');
SELECT status, refunded_minor, refund_pending_minor FROM oms.refund_payment(:'p', 1000, 'dented', 'back-2');
SELECT refund_pending_minor, replayed FROM oms.refund_payment(:'p', 1000, 'dented', 'back-2');
SELECT message, detail, hint FROM (SELECT replace(message, :'p', 'PAYMENT') AS message, detail, hint FROM test.outcome(format('SELECT oms.refund_payment(%L, 501, ''x'', test.key())', :'p'))) o;
SELECT test.fails(format('SELECT oms.refund_payment(%L, 501, ''x'', test.key())', :'p'), 'OM013', 'more than is left beside the pending ones');
SELECT test.equal(refunded_minor, 0, 'the order counts what is done, not what is asked') FROM oms.orders WHERE order_id = :'o';
SELECT test.provider('yes', '{}', 'refund');
SELECT test.equal(test.payment(:'p'), 'partially_refunded 2500/2500/2000+0', 'two parts back');
SELECT status, refunded_minor FROM oms.orders WHERE order_id = :'o';
-- A refund that the provider refuses gives its amount free; the order never hears of it.
SELECT refund_pending_minor FROM oms.refund_payment(:'p', NULL, 'the rest', test.key());
SELECT test.provider('card expired');
SELECT test.equal(test.payment(:'p'), 'partially_refunded 2500/2500/2000+0', 'a refused refund');
SELECT status, refunded_minor FROM oms.orders WHERE order_id = :'o';
SELECT status, amount_minor, reason FROM oms.refund WHERE payment_id = :'p' ORDER BY requested_at;
SELECT refund_pending_minor FROM oms.refund_payment(:'p', NULL, 'the rest', test.key());
SELECT test.provider('yes');
SELECT test.equal(test.payment(:'p'), 'refunded 2500/2500/2500+0', 'all back');
SELECT status, refunded_minor FROM oms.orders WHERE order_id = :'o';
SELECT test.equal(test.timeline(:'o'), '{order.created,order.reserved,order.paid,order.partially_refunded,order.partially_refunded,order.refunded}', 'the order''s story');
SELECT test.fails(format('SELECT oms.refund_payment(%L, NULL, ''x'', test.key())', :'p'), 'OM013', 'nothing is left');
SELECT test.equal(sum(amount_minor) FILTER (WHERE account = 'customer'), 0::numeric, 'the customer has his money back') FROM oms.ledger_entry WHERE payment_id = :'p';

-- Declined: an end. Another payment takes its place.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('insufficient funds');
SELECT test.equal(test.payment(:'p'), 'declined 0/0/0+0', 'declined');
SELECT reason FROM oms.payment WHERE payment_id = :'p';
SELECT detail FROM test.outcome(format('SELECT oms.capture_payment(%L, idempotency_key => test.key())', :'p'));
SELECT test.fails(format('SELECT oms.%s(%L, idempotency_key => test.key())', verb, :'p'), 'OM011', verb || ' of a declined payment')
FROM unnest('{capture_payment, void_payment, refund_payment}'::text[]) verb;
-- Several payments of one order: together no more than its total.
SELECT test.pay(:'o', 1500) AS p1 \gset
SELECT test.fails(format('SELECT oms.authorize_payment(%L, 1001, test.key())', :'o'), 'OM001', 'more than the other leaves open');
SELECT test.pay(:'o') AS p2 \gset
SELECT test.provider('yes');
SELECT test.equal(test.payment(:'p1') || ', ' || test.payment(:'p2'), 'authorized 1500/0/0+0, authorized 1000/0/0+0', 'two payments');
SELECT capture_due_at IS NULL FROM oms.capture_payment(:'p1', 1200, NULL, test.key());
SELECT test.fails(format('SELECT oms.capture_payment(%L, 1001, NULL, test.key())', :'p2'), 'OM001', 'more captured than authorized');
SELECT test.provider('yes', '{}', 'capture');
SELECT test.equal(test.payment(:'p1'), 'captured 1500/1200/0+0', 'a part captured');
-- The goods stay until all money is back, whichever way somebody tries.
SELECT on_hand FROM oms.set_stock('SKU-1', 10, test.key());
SELECT on_hand FROM oms.set_stock('SKU-2', 10, test.key());
SELECT status FROM oms.reserve(:'o', test.key());
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'o'), 'OM003', 'canceled with the money held');
SELECT test.fails(format('SELECT oms.release(%L, ''x'', test.key())', :'o'), 'OM003', 'released with the money held');
SELECT status FROM oms.void_payment(:'p2', 'x', test.key());
SELECT refund_pending_minor FROM oms.refund_payment(:'p1', NULL, 'x', test.key());
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'o'), 'OM003', 'asked back is not back');
SELECT test.provider('yes');
SELECT test.equal(test.payment(:'p1') || ', ' || test.payment(:'p2'), 'refunded 1500/1200/1200+0, voided 1000/0/0+0', 'refunded and voided');
SELECT status FROM oms.cancel_order(:'o', 'x', test.key());
SELECT test.equal(array_agg(DISTINCT status), '{released}', 'then they are free') FROM oms.reservation WHERE order_id = :'o';

-- What an order counts as paid follows its payments: less when less is captured than was authorized, or when it is voided; more with a further payment.
CREATE FUNCTION test.amounts(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' ', status, paid_minor || '-' || refunded_minor) FROM oms.orders WHERE order_id = id; END;
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.fails(format('SELECT test.advance(%L, ''pay'')', :'o'), 'OM003', 'an order is not paid before the provider has answered');
SELECT detail, hint FROM test.outcome(format('SELECT test.advance(%L, ''pay'')', :'o'));
SELECT test.provider('yes');
SELECT status FROM test.advance(:'o', 'pay');
SELECT test.amounts(:'o');
SELECT capture_due_at FROM oms.capture_payment(:'p', 2000, NULL, test.key());
SELECT test.amounts(:'o');
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'a part that is captured');
-- The rest is open again.
SELECT test.fails(format('SELECT oms.authorize_payment(%L, 501, test.key())', :'o'), 'OM001', 'more than the rest');
SELECT test.pay(:'o', 500) AS p2 \gset
SELECT test.amounts(:'o');
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT detail, hint FROM test.outcome(format('SELECT oms.refund_order(%L, 2100, ''x'', test.key())', :'o'));
SELECT status FROM oms.refund_order(:'o', 1500, 'x', test.key());
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT status FROM oms.void_payment(:'p2', 'the customer called', test.key());
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT type, payload -> 'prev_paid_minor', payload -> 'paid_minor', payload ->> 'currency', payload ->> 'reason' FROM oms.order_timeline(:'o') WHERE seq > 3 ORDER BY seq;
-- Why it was asked is kept with what came of it.
SELECT test.equal(reason, 'the customer called', 'why it is void') FROM oms.payment WHERE payment_id = :'p2';
SELECT test.equal((SELECT array_agg(payload ->> 'reason' ORDER BY id) FROM oms.event WHERE aggregate_id = :'p2' AND type LIKE 'payment.void%'), '{the customer called,the customer called}', 'and its events say so');
SELECT test.equal((SELECT payload ->> 'reason' FROM oms.event WHERE aggregate_id = :'p' AND type = 'payment.refunded'), 'x', 'a refund''s, too');
SELECT operation ->> 'kind', operation ->> 'reason' FROM jsonb_array_elements(oms.get_payment(:'p2') -> 'operations') operation;
-- Nothing is held any more, though it is on its way: another payment takes the place.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('yes');
SELECT status FROM test.advance(:'o', 'pay');
SELECT status FROM test.advance(:'o', 'confirm');
SELECT status FROM test.advance(:'o', 'ship');
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
SELECT test.provider('card expired');
SELECT test.amounts(:'o');
SELECT status FROM oms.void_payment(:'p', 'another card', test.key());
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('insufficient funds');
SELECT test.amounts(:'o');
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
SELECT test.provider('yes');
SELECT test.amounts(:'o');
SELECT type, payload -> 'paid_minor' FROM oms.order_timeline(:'o') WHERE seq > 3 ORDER BY seq;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'what orders count and what their payments hold');

-- Attempts that are used up without anything done are a no; one among them that may have done it is not.
CREATE FUNCTION test.unreached(nothing_done boolean[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    asked uuid := test.pay(test.make_order('reserved'));
    became text;
BEGIN
    SET LOCAL oms.now_override = '2096-01-01';
    FOR i IN 1..3 LOOP
        SELECT oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => nothing_done[i]) INTO STRICT became FROM oms.claim_tasks('payments');
        PERFORM set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + interval '1 hour')::text, true);
        PERFORM oms.run_due();
    END LOOP;
    RETURN concat_ws(' ', became, (SELECT status FROM oms.payment WHERE payment_id = asked),
        (SELECT count(*) FROM oms.claim_tasks('payments') t, oms.complete_task(t.task_id, t.lease_epoch, '{"outcome": "refused"}')));
END $$;
SELECT test.unreached('{t,t,t}');
SELECT test.unreached('{f,t,t}');
SELECT test.unreached('{t,t,f}');

-- Nobody knows: not a failure. The money stays held, the provider is asked, and its answer decides.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
:silence
SELECT test.equal(test.payment(:'p'), 'indeterminate 0/0/0+0', 'silence is not a no');
SELECT test.fails(format('SELECT oms.%s(%L, idempotency_key => test.key())', verb, :'p'), 'OM012', verb || ' of what nobody knows')
FROM unnest('{capture_payment, void_payment, refund_payment}'::text[]) verb;
SELECT test.fails(format('SELECT oms.authorize_payment(%L, 1, test.key())', :'o'), 'OM003', 'no other payment takes its place meanwhile');
SELECT kind, status FROM oms.payment_operation WHERE payment_id = :'p' ORDER BY requested_at, kind;
SELECT status FROM oms.reconcile_payment(:'p', test.key());
SELECT test.equal(count(*), 1::bigint, 'it is asked about once at a time') FROM oms.payment_operation WHERE payment_id = :'p' AND kind = 'reconcile';
-- The provider does not know yet: it is asked again later.
SET oms.now_override = '2097-01-02';
SELECT test.provider('yes', '{"outcome": "unknown"}', 'reconcile');
SELECT test.equal(test.payment(:'p'), 'indeterminate 0/0/0+0', 'still nobody knows');
SELECT test.equal(test.provider('yes'), 0::bigint, 'not at once');
SET oms.now_override = '2098-01-01';
SELECT oms.run_due() > 0;
SELECT test.provider('yes', '{"outcome": "succeeded", "provider_ref": "ch_2"}', 'reconcile');
RESET oms.now_override;
SELECT test.equal(test.payment(:'p'), 'authorized 2500/0/0+0', 'it had been authorized');
SELECT test.payment_timeline(:'p');
SELECT test.fails(format('SELECT oms.reconcile_payment(%L, test.key())', :'p'), 'OM003', 'nothing to reconcile');
-- A capture that nobody knows of, settled by hand; a refund likewise: its amount stays reserved until then.
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
:silence
SELECT test.equal(test.payment(:'p'), 'capture_pending 2500/0/0+0', 'a capture in the dark');
SELECT status, captured_minor FROM oms.reconcile_payment(:'p', 'by-hand-1', 'succeeded', reason => 'seen in the bank');
SELECT status, captured_minor, replayed FROM oms.reconcile_payment(:'p', 'by-hand-1', 'succeeded', reason => 'seen in the bank');
-- The question that was under way finds its answer there.
SET oms.now_override = '2098-01-15';
SELECT test.provider('yes', '{"outcome": "refused"}', 'reconcile');
RESET oms.now_override;
SELECT test.equal(test.payment(:'p'), 'captured 2500/2500/0+0', 'settled once');

-- A capture that fails can be tried again or voided; a delayed one is voidable until it is due.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('yes');
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
SELECT test.provider('not today');
SELECT test.equal(test.payment(:'p'), 'capture_failed 2500/0/0+0', 'a failed capture');
SELECT status, capture_due_at > now() AS delayed, operation_id FROM oms.capture_payment(:'p', 2000, interval '3 days', test.key());
SELECT test.equal(test.provider('yes'), 0::bigint, 'nothing to do yet');
SELECT status, capture_due_at FROM oms.void_payment(:'p', 'changed my mind', test.key());
SELECT test.provider('cannot', '{}', 'void');
SELECT test.equal(test.payment(:'p'), 'capture_failed 2500/0/0+0', 'a void that was refused');
SELECT status, capture_due_at > now() AS delayed FROM oms.capture_payment(:'p', 2000, interval '3 days', test.key());
SET oms.now_override = '2098-02-01';
SELECT oms.run_due() > 0;
SELECT test.equal(test.payment(:'p'), 'capture_pending 2500/0/0+0', 'due');
SELECT test.provider('yes', '{}', 'capture');
RESET oms.now_override;
SELECT test.equal(test.payment(:'p'), 'captured 2500/2000/0+0', 'captured when it was due');
SELECT test.payment_timeline(:'p');

-- No more is captured than the order owes: its total may have become less since the authorization.
CREATE FUNCTION test.amend(id uuid, total bigint) RETURNS bigint LANGUAGE sql
    RETURN (SELECT total_minor FROM oms.amend_order(id, jsonb_build_array(jsonb_build_object('sku', 'x', 'qty', 1, 'price_minor', total)), test.key()));
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('yes');
SELECT test.amend(:'o', 1000);
SELECT test.fails(format('SELECT oms.capture_payment(%L, 1001, NULL, test.key())', :'p'), 'OM001', 'more than the order owes');
SELECT detail, hint FROM test.outcome(format('SELECT oms.capture_payment(%L, 1001, NULL, test.key())', :'p'));
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
SELECT test.fails(format('SELECT test.amend(%L, 999)', :'o'), 'OM001', 'a total below what is being captured');
SELECT test.provider('yes', '{}', 'capture');
SELECT test.equal(test.payment(:'p'), 'captured 2500/1000/0+0', 'what the order owes');
SELECT test.fails(format('SELECT test.amend(%L, 999)', :'o'), 'OM001', 'a total below what is captured');
SELECT detail, hint FROM test.outcome(format('SELECT test.amend(%L, 999)', :'o'));
SELECT status, paid_minor FROM test.advance(:'o', 'pay');
-- Several payments: the others count with what they have taken or are taking, not with what they may take.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o', 1500) AS p1 \gset
SELECT test.pay(:'o') AS p2 \gset
SELECT test.provider('yes');
SELECT test.amend(:'o', 1600);
SELECT status FROM oms.capture_payment(:'p1', idempotency_key => test.key());
SELECT test.fails(format('SELECT oms.capture_payment(%L, 101, NULL, test.key())', :'p2'), 'OM001', 'more than the other leaves');
SELECT test.provider('yes', '{}', 'capture');
SELECT status FROM oms.capture_payment(:'p2', idempotency_key => test.key());
SELECT test.provider('yes', '{}', 'capture');
SELECT test.equal(test.payment(:'p1') || ', ' || test.payment(:'p2'), 'captured 1500/1500/0+0, captured 1000/100/0+0', 'the total, from two payments');
-- A capture for later is of what is owed then; when that is nothing, there is none.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o', 1500) AS p1 \gset
SELECT test.pay(:'o') AS p2 \gset
SELECT test.provider('yes');
SELECT capture_due_at IS NOT NULL FROM oms.capture_payment(:'p1', NULL, interval '3 days', test.key());
SELECT capture_due_at IS NOT NULL FROM oms.capture_payment(:'p2', NULL, interval '4 days', test.key());
SELECT test.amend(:'o', 1300);
SET oms.now_override = '2098-03-01';
SELECT oms.run_due() > 0;
SELECT test.provider('yes', '{}', 'capture');
RESET oms.now_override;
SELECT test.equal(test.payment(:'p1') || ', ' || test.payment(:'p2'), 'captured 1500/1300/0+0, authorized 1000/0/0+0', 'the first takes it all');
SELECT test.payment_timeline(:'p2'), capture_due_at FROM oms.payment WHERE payment_id = :'p2';
SELECT test.fails(format('SELECT oms.capture_payment(%L, NULL, NULL, test.key())', :'p2'), 'OM003', 'nothing is owed');
SELECT detail, hint FROM test.outcome(format('SELECT oms.capture_payment(%L, NULL, NULL, test.key())', :'p2'));
-- Nor does the saga.
SELECT test.make_order() AS o \gset
SELECT test.pay(:'o') AS p \gset
SELECT test.provider('yes');
SELECT test.amend(:'o', 700);
SELECT pending_action FROM oms.pay_order(:'o', test.key(), '{"stock": false}');
SELECT test.provider('yes', '{}', 'capture');
SELECT status, paid_minor, test.payment(:'p') FROM oms.orders WHERE order_id = :'o';

-- Money that went back before the order was paid is in none of its numbers.
SELECT test.make_order('reserved') AS o \gset
SELECT test.pay(:'o', 1500) AS p \gset
SELECT test.provider('yes');
SELECT status FROM oms.capture_payment(:'p', idempotency_key => test.key());
SELECT test.provider('yes', '{}', 'capture');
SELECT status FROM oms.refund_payment(:'p', 500, 'another card', test.key());
SELECT test.provider('yes', '{}', 'refund');
SELECT amount_minor FROM oms.authorize_payment(:'o', NULL, test.key());
SELECT test.provider('yes');
SELECT status FROM test.advance(:'o', 'pay');
SELECT test.amounts(:'o');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'an order that had money back before it was paid');
SELECT status FROM oms.refund_payment(:'p', 300, 'dented', test.key());
SELECT test.provider('yes', '{}', 'refund');
SELECT test.amounts(:'o');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'and after');

-- A refund that the provider never answers, nor the question what became of it: it ends, and an operator sees it.
CREATE PROCEDURE test.last_attempt_in_silence(at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('oms.now_override', at::text, false);
    PERFORM oms.run_due();
    UPDATE oms.task SET attempt = (retry ->> 'attempts_max')::int - 1 WHERE queue = 'payments' AND status = 'ready';
    PERFORM test.equal(test.claimed(), 1, 'one task');
    PERFORM set_config('oms.now_override', (at + interval '2 minutes')::text, false);
    PERFORM oms.run_due();
    RESET oms.now_override;
END $$;
SELECT test.captured() AS p \gset
SELECT refund_pending_minor FROM oms.refund_payment(:'p', 100, 'dented', test.key());
SELECT kind, retry -> 'attempts_max' AS attempts FROM oms.task WHERE queue = 'payments' AND status = 'ready';
CALL test.last_attempt_in_silence('2098-04-01 00:00');
SELECT kind, retry -> 'attempts_max' AS attempts FROM oms.task WHERE queue = 'payments' AND status = 'ready';
SELECT test.nothing('SELECT * FROM oms.stuck WHERE what = ''payment''', 'it is asked about');
CALL test.last_attempt_in_silence('2098-04-01 01:00');
SELECT test.equal(test.payment(:'p'), 'captured 5000/5000/0+100', 'its amount stays reserved');
SELECT definition, id = :'p' AS id, key = order_id::text AS key, since, why, regexp_replace(what_to_do, '[0-9a-f-]{36}', 'ID', 'g') AS what_to_do
FROM oms.stuck, oms.payment WHERE what = 'payment' AND payment_id = :'p';
SELECT refund_pending_minor FROM oms.reconcile_payment(:'p', test.key());
SELECT test.nothing('SELECT * FROM oms.stuck WHERE what = ''payment''', 'it is asked about again');
CALL test.last_attempt_in_silence('2098-04-01 02:00');
SELECT test.equal(count(*), 1::bigint, 'shown once') FROM oms.stuck WHERE what = 'payment';
SELECT refunded_minor, refund_pending_minor FROM oms.reconcile_payment(:'p', test.key(), 'succeeded');
SELECT test.nothing('SELECT * FROM oms.stuck WHERE what = ''payment''', 'settled');

-- Where refunds end: amounts beside the range.
SELECT test.captured() AS p \gset
SELECT test.fails(format('SELECT oms.refund_payment(%L, %s, ''x'', test.key())', :'p', amount), state, 'refund of ' || amount)
FROM (VALUES (0, 'OM001'), (-1, 'OM001'), (-9223372036854775808, 'OM001'), (5001, 'OM013'), (9223372036854775807, 'OM013')) v(amount, state);
SELECT test.equal(test.payment(:'p'), 'captured 5000/5000/0+0', 'the payment is as it was');
SELECT count(*), max(refund_pending_minor) FROM generate_series(1, 500) i, LATERAL oms.refund_payment(:'p', 10, 'x', 'part-of-' || i);
SELECT test.fails(format('SELECT oms.refund_payment(%L, 1, ''x'', test.key())', :'p'), 'OM013', 'all is asked back');
SELECT sum(test.provider('yes', '{}', 'refund')) FROM generate_series(1, 5);
SELECT test.equal(test.payment(:'p'), 'refunded 5000/5000/5000+0', 'five hundred parts');
SELECT o.status, o.refunded_minor FROM oms.orders o JOIN oms.payment p USING (order_id) WHERE p.payment_id = :'p';

-- An order in other hands.
SELECT test.make_order('pending') AS o \gset
SELECT status FROM oms.hold_order(:'o', 'x', test.key());
SELECT test.fails(format('SELECT oms.authorize_payment(%L, NULL, test.key())', :'o'), 'OM004', 'paying while on hold');
SELECT test.fails(format('SELECT oms.authorize_payment(%L, NULL, test.key())', test.make_order('canceled')), 'OM003', 'paying what is canceled');

-- What is shown.
SELECT jsonb_object_keys(oms.get_payment(:'p')) AS key ORDER BY 1;
SELECT test.equal(jsonb_array_length(oms.get_payment(:'p') -> 'refunds'), 500, 'its refunds'), test.equal(jsonb_array_length(oms.get_payment(:'p') -> 'ledger'), 1002, 'its entries');
SELECT test.equal(jsonb_array_length(oms.get_order(order_id) -> 'payments'), 1, 'the order shows its payment') FROM oms.payment WHERE payment_id = :'p';
SELECT test.equal((SELECT count(*) FROM oms.list_payments('{"status": ["captured", "voided"]}')), (SELECT count(*) FROM oms.payment WHERE status IN ('captured', 'voided')), 'by status');
SELECT test.equal((SELECT payment_id FROM oms.list_payments(jsonb_build_object('order_id', order_id))), payment_id, 'by order') FROM oms.payment WHERE payment_id = :'p';
SELECT test.equal((WITH RECURSIVE page AS (SELECT * FROM (SELECT payment_id, next_cursor FROM oms.list_payments("limit" => 1)) f
    UNION ALL SELECT n.payment_id, n.next_cursor FROM page, LATERAL (SELECT payment_id, next_cursor FROM oms.list_payments('{}', page.next_cursor, 1)) n) SELECT count(DISTINCT payment_id) FROM page),
    (SELECT count(*) FROM oms.payment), 'page by page');

-- Bad input.
SELECT test.fails(statement, state, statement) FROM (VALUES
    ('SELECT oms.authorize_payment(NULL, 1, test.key())', 'OM001'), ('SELECT oms.authorize_payment(gen_random_uuid(), 1, test.key())', 'OM002'),
    ('SELECT oms.authorize_payment(gen_random_uuid(), 1)', 'OM007'),
    ('SELECT oms.authorize_payment(gen_random_uuid(), 1, test.key(), '''')', 'OM001'),
    ('SELECT oms.authorize_payment(gen_random_uuid(), 1, test.key(), repeat(''x'', 61))', 'OM001'),
    ('SELECT oms.authorize_payment(gen_random_uuid(), 1, test.key(), NULL, ''[]'')', 'OM001'),
    ('SELECT oms.authorize_payment(gen_random_uuid(), 1, test.key(), NULL, jsonb_build_object(''x'', repeat(''x'', 20000)))', 'OM001'),
    ('SELECT oms.authorize_payment(test.make_order(), 0, test.key())', 'OM001'), ('SELECT oms.authorize_payment(test.make_order(), -1, test.key())', 'OM001'),
    ('SELECT oms.authorize_payment(test.make_order(), 2501, test.key())', 'OM001'),
    ('SELECT oms.authorize_payment(test.make_order(), 9223372036854775807, test.key())', 'OM001'),
    ('SELECT oms.capture_payment(NULL, 1, NULL, test.key())', 'OM001'), ('SELECT oms.capture_payment(gen_random_uuid(), 1, NULL, test.key())', 'OM002'),
    ('SELECT oms.capture_payment(test.make_order(), 1, NULL, test.key())', 'OM002'), ('SELECT oms.capture_payment(gen_random_uuid())', 'OM007'),
    ('SELECT oms.capture_payment(gen_random_uuid(), 1, ''-1 s'', test.key())', 'OM001'), ('SELECT oms.capture_payment(gen_random_uuid(), 1, ''400 days'', test.key())', 'OM001'),
    ('SELECT oms.void_payment(NULL, ''x'', test.key())', 'OM001'), ('SELECT oms.void_payment(gen_random_uuid(), repeat(''x'', 2001), test.key())', 'OM001'),
    ('SELECT oms.void_payment(gen_random_uuid(), ''x'', test.key())', 'OM002'), ('SELECT oms.void_payment(gen_random_uuid())', 'OM007'),
    ('SELECT oms.refund_payment(NULL, 1, ''x'', test.key())', 'OM001'), ('SELECT oms.refund_payment(gen_random_uuid(), 1, ''x'', test.key())', 'OM002'),
    ('SELECT oms.refund_payment(gen_random_uuid())', 'OM007'),
    ('SELECT oms.reconcile_payment(NULL, test.key())', 'OM001'), ('SELECT oms.reconcile_payment(gen_random_uuid(), test.key())', 'OM002'),
    ('SELECT oms.reconcile_payment(gen_random_uuid(), test.key(), ''maybe'')', 'OM001'), ('SELECT oms.reconcile_payment(gen_random_uuid())', 'OM007'),
    ('SELECT oms.get_payment(NULL)', 'OM001'), ('SELECT oms.get_payment(gen_random_uuid())', 'OM002'), ('SELECT oms.get_payment(test.make_order())', 'OM002'),
    ('SELECT * FROM oms.list_payments(''{"order_id": 1}'')', 'OM001'), ('SELECT * FROM oms.list_payments(''{"order_id": "x"}'')', 'OM001'),
    ('SELECT * FROM oms.list_payments(''{"colour": "x"}'')', 'OM001'), ('SELECT * FROM oms.list_payments(cursor => ''x'')', 'OM001'),
    ('SELECT oms.append_events(''payment'', ''x'', NULL, ''[{"type": "x", "payload": {}}]'')', 'OM027')) v(statement, state);
SELECT test.fails(format('SELECT oms.%s(%L, idempotency_key => test.key(), expected_version => 1)', verb, :'p'), 'OM006', verb || ' at another version')
FROM unnest('{capture_payment, void_payment, refund_payment}'::text[]) verb;
-- Answers for operations that are not there, from tasks that anybody made: nothing happens.
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');

-- Two ways to pay do not add up: what was paid without a payment is paid, and payments that were begun have to suffice.
SELECT test.make_order('paid') AS o \gset
SELECT refunded_minor FROM oms.refund_order(:'o', 100, 'dented', test.key());
SELECT test.fails(format('SELECT oms.authorize_payment(%L, NULL, test.key())', :'o'), 'OM003', 'a payment for what was paid');
SELECT test.make_order('reserved') AS o \gset
SELECT amount_minor FROM oms.authorize_payment(:'o', 100, test.key());
SELECT test.fails(format('SELECT oms.advance_order(%L, ''pay'', test.key())', :'o'), 'OM003', 'paid by less than the total');
SELECT amount_minor FROM oms.authorize_payment(:'o', NULL, test.key());
SELECT test.fails(format('SELECT oms.advance_order(%L, ''pay'', test.key())', :'o'), 'OM003', 'paid by what is only asked for');
SELECT test.provider('yes');
SELECT status FROM oms.advance_order(:'o', 'pay', test.key());
SELECT test.fails(format('SELECT oms.refund_order(%L, 100, ''x'', test.key())', :'o'), 'OM003', 'a refund of what is not captured');
-- An order does not end while its money is held.
SELECT test.make_order() AS o \gset
SELECT payment_id AS p FROM oms.authorize_payment(:'o', NULL, test.key()) \gset
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'o'), 'OM003', 'canceled with the money in hand');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
