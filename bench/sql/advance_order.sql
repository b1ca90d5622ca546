-- Every order of the fill through two transitions (one plain, one that moves money), one statement each, in one transaction. Run with
-- schema=oms or schema=rival.
BEGIN;
SELECT count(moved) FROM (SELECT :schema.advance_order(order_id, 'reserve', 'reserve-' || order_id) AS moved
                            FROM bench.fill_orders LIMIT 100) warmed;
ROLLBACK;
SELECT 2 * count(*) AS n FROM bench.fill_orders \gset
BEGIN;
\ir start.sql
SELECT count(moved) FROM (SELECT :schema.advance_order(order_id, 'reserve', 'reserve-' || order_id) AS moved FROM bench.fill_orders) reserved;
SELECT count(moved) FROM (SELECT :schema.advance_order(order_id, 'pay', 'pay-' || order_id) AS moved FROM bench.fill_orders) paid;
\ir stop.sql
COMMIT;
SELECT 1 / (count(*) FILTER (WHERE status = 'paid' AND version = 2 AND paid_minor = total_minor) = :n / 2)::integer AS all_are_paid
  FROM :schema.orders;
