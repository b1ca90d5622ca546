-- Keeps the rows that create_order.sql has just written, for floor.sql to write again. VACUUM, so that reading them costs nothing more.
DROP TABLE IF EXISTS bench.stage_orders, bench.stage_order_item, bench.stage_event, bench.stage_idempotency_key;
SELECT max(created_at) AS born, max(last_event_id) AS event_id FROM bench.fill_orders \gset
SELECT max(created_at) AS kept FROM bench.fill_idempotency_key \gset
CREATE UNLOGGED TABLE bench.stage_orders AS SELECT * FROM oms.orders WHERE created_at > :'born';
CREATE UNLOGGED TABLE bench.stage_order_item AS SELECT * FROM oms.order_item WHERE created_at > :'born';
CREATE UNLOGGED TABLE bench.stage_event AS SELECT * FROM oms.event WHERE id > :event_id;
CREATE UNLOGGED TABLE bench.stage_idempotency_key AS SELECT * FROM oms.idempotency_key WHERE created_at > :'kept';
VACUUM ANALYZE bench.stage_orders, bench.stage_order_item, bench.stage_event, bench.stage_idempotency_key;
