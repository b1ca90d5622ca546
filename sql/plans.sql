-- Goal: what a command reads depends on its order, not on how much there is: also in a session that planned when the tables were empty and vacuumed.
-- Method: a database of its own. A session takes some orders the whole way, by the saga and by hand, and so has its plans; then all tables are filled
-- behind it, and the server's counters tell how many rows it reads for one more order of each kind.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
\set origin :DBNAME
\c postgres
CREATE DATABASE oms_plans;
\c oms_plans
SET client_min_messages = warning;
CREATE EXTENSION oms;
SELECT on_hand FROM oms.set_stock('TEA', 1000000, 'stock');
CREATE FUNCTION public.answered(queue text) RETURNS text LANGUAGE sql
    AS $$ SELECT t.kind FROM oms.claim_tasks(queue, 1) t, oms.complete_task(t.task_id, t.lease_epoch, '{"provider_ref": "p"}') $$;
CREATE FUNCTION public.new_order(n int) RETURNS uuid LANGUAGE sql
    AS $$ SELECT order_id FROM oms.create_order('c', 'EUR', '[{"sku": "TEA", "qty": 1, "price_minor": 100}]', 'create-' || n) $$;
-- Paid by the saga, with a command that waits behind it and is withdrawn; and canceled.
CREATE FUNCTION public.by_saga(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid := new_order(n);
BEGIN
    PERFORM oms.pay_order(id, 'pay-' || n);
    PERFORM oms.cancel_queued_command(q.command_id, 'x') FROM oms.queue_command(id, 'ship_order', '{}', 'queue-' || n) q;
    PERFORM answered('payments');
    PERFORM answered('payments');
    PERFORM oms.cancel_order(id, 'x', 'cancel-' || n);
    PERFORM answered('payments');
    RETURN (oms.get_order(id) ->> 'status');
END $$;
-- Paid by hand, amended, shipped, a part refunded.
CREATE FUNCTION public.by_hand(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid := new_order(n);
    payment uuid;
BEGIN
    PERFORM oms.reserve(id, 'reserve-' || n);
    payment := (SELECT payment_id FROM oms.authorize_payment(id, idempotency_key => 'authorize-' || n));
    PERFORM answered('payments');
    PERFORM oms.advance_order(id, 'pay', 'paid-' || n);
    PERFORM oms.capture_payment(payment, idempotency_key => 'capture-' || n);
    PERFORM answered('payments');
    PERFORM oms.amend_order(id, '[{"sku": "TEA", "qty": 2, "price_minor": 50}]', 'amend-' || n);
    PERFORM oms.advance_order(id, 'confirm', 'confirm-' || n);
    PERFORM oms.create_shipment(id, idempotency_key => 'parcel-' || n);
    PERFORM oms.ship_order(id, 'ship-' || n);
    PERFORM oms.refund_order(id, 10, 'x', 'refund-' || n);
    PERFORM answered('payments');
    RETURN (oms.get_order(id) ->> 'status') || ' ' || (oms.get_payment(payment) ->> 'status');
END $$;
-- Rows like those that are there, with keys of their own.
CREATE PROCEDURE public.fill(relation text, new_keys text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO oms.%1$I OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(t, jsonb_build_object(%2$s))).*
        FROM (SELECT t FROM oms.%1$I t LIMIT 1) one, generate_series(1, 10000) n', relation, new_keys);
END $$;
VACUUM ANALYZE;

-- Whatever touches a schema makes sessions plan anew, so all that is needed is made before.
\c
SET client_min_messages = warning;
-- What it has read and not yet told the statistics, which it does between statements.
CREATE TEMP VIEW counters AS SELECT relname, seq_tup_read + idx_tup_fetch AS read FROM pg_stat_xact_all_tables WHERE schemaname = 'oms';
CREATE TEMP TABLE before (relname name, read bigint);
CREATE TEMP TABLE after (relname name, read bigint);
SELECT string_agg(DISTINCT by_saga(n), ' ') || ' ' || string_agg(DISTINCT by_hand(n + 100), ' ') FROM generate_series(1, 10) n;

CALL fill('orders', '''order_id'', gen_random_uuid()');
CALL fill('order_item', '''order_id'', gen_random_uuid()');
CALL fill('reservation', '''order_id'', gen_random_uuid(), ''reservation_id'', 1000000 + n');
CALL fill('payment', '''order_id'', gen_random_uuid(), ''payment_id'', gen_random_uuid()');
CALL fill('payment_operation', '''order_id'', gen_random_uuid(), ''payment_id'', gen_random_uuid(), ''operation_id'', gen_random_uuid()');
CALL fill('refund', '''order_id'', gen_random_uuid(), ''payment_id'', gen_random_uuid(), ''refund_id'', gen_random_uuid()');
CALL fill('ledger_entry', '''order_id'', gen_random_uuid(), ''payment_id'', gen_random_uuid(), ''operation_id'', gen_random_uuid()');
CALL fill('shipment', '''order_id'', gen_random_uuid(), ''shipment_id'', gen_random_uuid()');
CALL fill('shipment_item', '''order_id'', gen_random_uuid(), ''shipment_id'', gen_random_uuid()');
CALL fill('saga', '''saga_id'', 1000000 + n, ''key'', gen_random_uuid()');
CALL fill('saga_step', '''step_id'', (1000000 + n)::bigint << 14, ''saga_id'', 1000000 + n');
CALL fill('idempotency_key', '''key'', ''other-'' || n');
CALL fill('queued_command', '''order_id'', gen_random_uuid(), ''command_id'', 1000000 + n, ''idempotency_key'', ''other-'' || n');

BEGIN;
INSERT INTO before SELECT * FROM counters;
SELECT by_saga(1000), by_hand(1001);
INSERT INTO after SELECT * FROM counters;
COMMIT;
-- Each of the two reads a handful of rows of each table, again and again.
SELECT relname, after.read - before.read AS read FROM after JOIN before USING (relname) WHERE after.read - before.read > 500 ORDER BY 1;
SELECT count(*) > 10 AS read FROM after JOIN before USING (relname) WHERE after.read - before.read > 0;
\c :origin
DROP DATABASE oms_plans;
