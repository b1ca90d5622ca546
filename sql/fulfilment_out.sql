-- Goal: what has left the house is not undone: where an order cannot be canceled its money stays, whoever asks for the way back, and nothing leaves while
-- the money goes back.
-- Method: orders that the saga has paid, shipped with and without a shipment, a part or all of them; an operator who undoes their sagas, or forces an order
-- while its saga is parked; the tasks that the provider gets counted.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-03 10:00:00+00';
CREATE SCHEMA fo;
SELECT on_hand FROM oms.set_stock('FO-1', 1000, 'fo-1');
SELECT oms.set_fulfilment_policy('{"queue": "fo-payments"}') ->> 'queue';
CREATE FUNCTION fo.answer(answer text DEFAULT 'yes', queue text DEFAULT 'fo-payments') RETURNS text LANGUAGE sql RETURN test.answer(answer, queue);
CREATE FUNCTION fo.state(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' ', o.status, o.pending_action, 'paid', o.paid_minor, 'refunded', o.refunded_minor, '/ saga', s.status, '/ payment', p.status, p.refunded_minor,
        (SELECT '/ ' || string_agg(t.name || ': ' || t.error, ', ' ORDER BY t.step_id) FROM oms.saga_step t WHERE t.saga_id = s.saga_id AND t.status = 'compensation_failed'))
    FROM oms.orders o LEFT JOIN oms.saga s ON s.key = o.order_id::text LEFT JOIN oms.payment p USING (order_id) WHERE o.order_id = id; END;
CREATE FUNCTION fo.saga_of(id uuid) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT saga_id FROM oms.saga WHERE key = id::text; END;
-- An order of two pieces, 2500 in all, paid for as far as the policy goes.
CREATE FUNCTION fo.paid(policy jsonb DEFAULT '{}') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
BEGIN
    SELECT order_id INTO id FROM oms.create_order('c', 'EUR', '[{"sku": "FO-1", "qty": 2, "price_minor": 1250}]', test.key());
    PERFORM oms.pay_order(id, test.key(), policy);
    WHILE fo.answer() <> 'nothing to do' OR fo.answer(queue => 'shipping') <> 'nothing to do' LOOP END LOOP;
    RETURN id;
END $$;
-- How an operator's attempt to undo the order's saga ends.
CREATE FUNCTION fo.undo(id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(concat_ws(' | ', state, message, detail, hint), '[0-9a-f]{8}-[-0-9a-f]+', 'ID', 'g') FROM test.outcome(format('SELECT oms.compensate_saga(%s, ''a try'', test.key())', fo.saga_of(id))) $$;
-- The provider refuses whatever it is asked, until the saga is parked.
CREATE FUNCTION fo.park(id uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..2000 LOOP
        EXIT WHEN (SELECT status FROM oms.saga WHERE key = id::text) = 'parked';
        PERFORM fo.answer('account closed');
        PERFORM set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + interval '7 minutes')::text, false);
        PERFORM oms.run_due();
    END LOOP;
    RETURN fo.state(id);
END $$;

-- Shipped by hand, without a shipment: the saga is not undone, and the provider is asked for nothing.
SELECT fo.paid() AS a \gset
SELECT status FROM oms.ship_order(:'a', test.key());
SELECT test.fails(format('SELECT oms.cancel_order(%L, ''x'', test.key())', :'a'), 'OM003', 'what is shipped is not canceled');
SELECT fo.undo(:'a');
SELECT fo.answer(), fo.state(:'a');
SELECT status FROM oms.complete_order(:'a', test.key());
SELECT fo.undo(:'a');
SELECT fo.answer(), fo.state(:'a');
-- It can be refunded; then there is nothing left that the saga would undo.
SELECT status FROM oms.refund_order(:'a', NULL, 'came back', test.key());
SELECT fo.answer(), fo.state(:'a');
SELECT fo.undo(:'a'), fo.answer(), fo.state(:'a');
-- Authorized only: who has the goods will still have to pay for them.
SELECT fo.paid('{"auth_only": true}') AS b \gset
SELECT status FROM oms.advance_order(:'b', 'ship', test.key());
SELECT fo.undo(:'b');
SELECT fo.answer(), fo.state(:'b');
-- A part is out, in a shipment of the shop's own.
SELECT fo.paid() AS c \gset
SELECT shipment_id AS box FROM oms.create_shipment(:'c', '[{"sku": "FO-1", "qty": 1}]', test.key()) \gset
SELECT order_status FROM oms.ship_shipment(:'box', test.key());
SELECT fo.undo(:'c');
SELECT fo.answer(), fo.state(:'c');
-- The saga's own shipment is out.
SELECT fo.paid('{"shipping": true}') AS d \gset
SELECT status FROM oms.ship_order(:'d', test.key());
SELECT fo.undo(:'d');
SELECT fo.answer(), fo.answer(queue => 'shipping'), fo.state(:'d');

-- While the money goes back nothing leaves the house.
SELECT fo.paid() AS e \gset
SELECT fo.undo(:'e'), fo.state(:'e');
SELECT test.fails(format('SELECT oms.ship_order(%L, test.key())', :'e'), 'OM005', 'it is being canceled');
SELECT test.fails(format('SELECT oms.create_shipment(%L, NULL, test.key())', :'e'), 'OM005', 'and so it has no shipment either');
SELECT fo.undo(:'e') ~ '^OM003', fo.answer(), fo.answer(), fo.state(:'e');
-- The same for one that is not yet paid.
SELECT order_id AS f FROM oms.create_order('c', 'EUR', '[{"sku": "FO-1", "qty": 2, "price_minor": 1250}]', test.key()) \gset
SELECT status FROM oms.pay_order(:'f', test.key());
SELECT fo.undo(:'f'), fo.state(:'f');
SELECT fo.answer(), fo.answer(), fo.answer(), fo.state(:'f');

-- An operator says that the order is shipped while its saga is parked: from then on no money goes back by itself.
SELECT fo.paid() AS g \gset
SELECT status FROM oms.cancel_order(:'g', 'second thoughts', test.key());
SELECT fo.park(:'g');
SELECT status FROM oms.force_order(:'g', 'shipped', 'it was in the van', 'ann', test.key());
SELECT status FROM oms.resume_saga(fo.saga_of(:'g'), 'account is open again', test.key());
SELECT fo.answer(), fo.state(:'g');
SELECT status FROM oms.refund_order(:'g', NULL, 'as agreed', test.key());
SELECT fo.answer(), fo.state(:'g');
SELECT status FROM oms.resume_saga(fo.saga_of(:'g'), 'it is refunded', test.key());
SELECT fo.answer(), fo.state(:'g');
-- Or he opens it again, and all of it is undone.
SELECT fo.paid() AS h \gset
SELECT status FROM oms.cancel_order(:'h', 'second thoughts', test.key());
SELECT fo.park(:'h');
SELECT status FROM oms.force_order(:'h', 'completed', 'the wrong one', 'ann', test.key());
SELECT status FROM oms.resume_saga(fo.saga_of(:'h'), 'account is open again', test.key());
SELECT fo.answer(), fo.state(:'h');
SELECT status FROM oms.force_order(:'h', 'confirmed', 'it is still here', 'ann', test.key());
SELECT status FROM oms.resume_saga(fo.saga_of(:'h'), 'it is still here', test.key());
SELECT test.fails(format('SELECT oms.ship_order(%L, test.key())', :'h'), 'OM005', 'it is being canceled again');
SELECT fo.answer(), fo.answer(), fo.state(:'h');

SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DROP SCHEMA fo CASCADE;
