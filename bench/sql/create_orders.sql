-- :n orders by oms.create_orders, 1,000 at a time, parsing the JSON as it comes from a client.
BEGIN;
SELECT count(*) FROM oms.create_orders((SELECT orders FROM bench.batch WHERE turn = 1)::jsonb);
ROLLBACK;
BEGIN;
\ir start.sql
SELECT count(*) FROM bench.batch CROSS JOIN LATERAL oms.create_orders(orders::jsonb) WHERE turn <= :n / 1000;
\ir stop.sql
COMMIT;
SELECT bench.holds('oms', :n);
