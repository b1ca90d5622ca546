-- The rival that writes the rows itself in one statement. It decides nothing: what it is given is not checked, and a key that was used before is
-- an error, upon which the application has to look for the answer.
\set customer random(1, 10000000)
\set key random(1, 9000000000000000000)
WITH made AS MATERIALIZED (
    SELECT at, rival.new_order_id(at) AS order_id, nextval('rival.event_id_seq') AS event_id, 'customer-' || :customer AS customer_id,
           'key-' || :key AS key
      FROM date_trunc('milliseconds', clock_timestamp()) at
), new_key AS (
    INSERT INTO rival.idempotency_key
    SELECT hashtextextended(key, 0), at, md5(ROW('create_order', customer_id, 'EUR', :items::text)::text)::uuid, 'create_order', key,
           convert_to(ROW(order_id, 'pending', 0, customer_id, 'EUR', 22500, 0, 0, false, NULL, at, at)::text, 'UTF8')
      FROM made
), new_items AS (
    INSERT INTO rival.order_item
    SELECT order_id, at, line_no, sku, qty, price_minor, NULL
      FROM made CROSS JOIN (VALUES (1, 'SKU-001', 2, 10000), (2, 'SKU-002', 1, 2500)) item (line_no, sku, qty, price_minor)
), new_event AS (
    INSERT INTO rival.event
    SELECT event_id, pg_current_xact_id(), 'order', order_id::text, 1, 'order.created', 'oms.order.events', order_id::text,
           jsonb_build_object('order_id', order_id, 'prev_status', NULL, 'status', 'pending', 'reason', NULL, 'version', 0,
                              'occurred_at', at, 'customer_id', customer_id, 'currency', 'EUR', 'total_minor', 22500,
                              'items', :items::jsonb),
           '{"schema_version": 1}', at
      FROM made
)
INSERT INTO rival.orders
SELECT order_id, customer_id, 'pending', false, NULL, NULL, 'EUR', 22500, 0, 0, 0, NULL, NULL, at, at, 1, event_id, event_id
  FROM made
RETURNING order_id, status, version;
