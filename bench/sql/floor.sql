-- The floor of SQL: the very rows that oms.create_order wrote, into the same tables, table by table, with nothing to decide.
BEGIN;
INSERT INTO oms.orders SELECT * FROM bench.stage_orders LIMIT 100;
INSERT INTO oms.order_item SELECT * FROM bench.stage_order_item LIMIT 200;
INSERT INTO oms.event SELECT * FROM bench.stage_event LIMIT 100;
INSERT INTO oms.idempotency_key SELECT * FROM bench.stage_idempotency_key LIMIT 100;
ROLLBACK;
SELECT (SELECT count(*) FROM bench.stage_orders) + (SELECT count(*) FROM bench.stage_order_item) +
       (SELECT count(*) FROM bench.stage_event) + (SELECT count(*) FROM bench.stage_idempotency_key) AS read_into_memory;
BEGIN;
\ir start.sql
INSERT INTO oms.orders TABLE bench.stage_orders;
INSERT INTO oms.order_item TABLE bench.stage_order_item;
INSERT INTO oms.event TABLE bench.stage_event;
INSERT INTO oms.idempotency_key TABLE bench.stage_idempotency_key;
\ir stop.sql
COMMIT;
SELECT bench.holds('oms', :n);
