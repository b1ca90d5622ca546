-- What set-oriented SQL can do at best when the rows are not there yet: one statement for all orders, into our tables. It checks nothing.
SET work_mem = '256MB';
BEGIN;
\ir start.sql
WITH made AS MATERIALIZED (
    SELECT at, rival.new_order_id(at) AS order_id, nextval('oms.event_id_seq') AS event_id, bench.customer(n) AS customer_id,
           'bench-' || n AS key
      FROM generate_series(1, :n) n, date_trunc('milliseconds', clock_timestamp()) at
), new_keys AS (
    INSERT INTO oms.idempotency_key
    SELECT hashtextextended(key, 0), at, md5(ROW('create_order', customer_id, 'EUR', bench.items())::text)::uuid, 'create_order', key,
           convert_to(ROW(order_id, 'pending', 0, customer_id, 'EUR', 22500, 0, 0, false, NULL, at, at)::text, 'UTF8')
      FROM made
), new_items AS (
    INSERT INTO oms.order_item
    SELECT order_id, at, line_no, sku, qty, price_minor, NULL
      FROM made CROSS JOIN (VALUES (1, 'SKU-001', 2, 10000), (2, 'SKU-002', 1, 2500)) item (line_no, sku, qty, price_minor)
), new_events AS (
    INSERT INTO oms.event
    SELECT event_id, pg_current_xact_id(), 'order', order_id::text, 1, 'order.created', 'oms.order.events', order_id::text,
           jsonb_build_object('order_id', order_id, 'prev_status', NULL, 'status', 'pending', 'reason', NULL, 'version', 0,
                              'occurred_at', at, 'customer_id', customer_id, 'currency', 'EUR', 'total_minor', 22500,
                              'items', bench.items()),
           '{"schema_version": 1}', at
      FROM made
)
INSERT INTO oms.orders
SELECT order_id, customer_id, 'pending', false, NULL, NULL, 'EUR', 22500, 0, 0, 0, NULL, NULL, at, at, 1, event_id, event_id
  FROM made;
\ir stop.sql
COMMIT;
SELECT bench.holds('oms', :n);
