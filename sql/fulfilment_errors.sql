-- Goal: where a function of the built-in saga raises, the error is that step's own: it harms neither the transaction, nor what the saga did before, nor the other
-- orders of a batch of answers.
-- Method: triggers of the shop's that raise for one customer, in the steps 'reserve' and 'confirm'; the clock once the trigger is gone.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-02 10:00:00+00';
CREATE SCHEMA fe;
SELECT on_hand FROM oms.set_stock('FE-1', 100, 'fe-1');
SELECT oms.set_fulfilment_policy('{"queue": "fe-payments"}') ->> 'queue';
CREATE FUNCTION fe.pay(customer text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (oms.pay_order(o.order_id, test.key())).order_id FROM oms.create_order(customer, 'EUR', '[{"sku": "FE-1", "qty": 2, "price_minor": 1000}]', test.key()) o $$;
CREATE FUNCTION fe.answer_all() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(outcome, ' ')
    FROM (SELECT array_agg(task_id) AS ids, array_agg(lease_epoch) AS epochs FROM oms.claim_tasks('fe-payments', 100)) c, oms.complete_tasks(c.ids, c.epochs) $$;
CREATE FUNCTION fe.state(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' / ', concat_ws(' ', o.status, o.pending_action, o.paid_minor), s.status, regexp_replace(s.waits_for, 'task [0-9]+', 'task N'))
    FROM oms.orders o JOIN oms.saga s ON s.key = o.order_id::text WHERE o.order_id = id; END;
CREATE FUNCTION fe.raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no ink for order of %', TG_ARGV[0] USING ERRCODE = '53100'; END $$;

-- While it is paid: the order is placed, and the step is tried again.
CREATE TRIGGER raise BEFORE INSERT ON oms.reservation FOR EACH ROW WHEN (NEW.qty = 2) EXECUTE FUNCTION fe.raise('two');
SELECT fe.pay('fe-first') AS a \gset
SELECT fe.state(:'a');
SELECT test.timeline(:'a');
DROP TRIGGER raise ON oms.reservation;
SET oms.now_override = '2026-03-02 10:00:30+00';
SELECT oms.run_due() > 0;
SELECT fe.state(:'a');

-- One of a batch: the others go on.
SELECT fe.pay('fe-unlucky') AS b, fe.pay('fe-lucky') AS c \gset
CREATE TRIGGER raise BEFORE UPDATE ON oms.orders FOR EACH ROW WHEN (NEW.status = 'confirmed' AND NEW.customer_id = 'fe-unlucky') EXECUTE FUNCTION fe.raise('unlucky');
SELECT fe.answer_all();
SELECT fe.answer_all();
SELECT fe.state(:'a');
SELECT fe.state(:'b');
SELECT fe.state(:'c');
DROP TRIGGER raise ON oms.orders;
SET oms.now_override = '2026-03-02 10:01:00+00';
SELECT oms.run_due() > 0;
SELECT fe.state(:'b');
SELECT on_hand, reserved FROM oms.stock WHERE sku = 'FE-1';

-- In the log the saga says its turns, in the table all its steps.
SELECT string_agg(type, ' ' ORDER BY seq) FROM oms.saga s, oms.saga_history(s.saga_id) WHERE s.key = :'b';
SELECT string_agg(t.name || ' ' || t.status || ' ' || t.attempts, ', ' ORDER BY t.step_id) FROM oms.saga s JOIN oms.saga_step t USING (saga_id) WHERE s.key = :'b' AND t.attempts > 1;

SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DROP SCHEMA fe CASCADE;
