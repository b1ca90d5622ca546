-- A command and your own tables in one transaction: both happen, or neither.

CREATE TEMPORARY TABLE voucher (code text PRIMARY KEY, order_id uuid);
INSERT INTO voucher VALUES ('SPRING');

BEGIN;
SELECT order_id
FROM oms.create_order('customer-7', 'EUR', '[{"sku": "TEA-100", "qty": 2, "price_minor": 450}]', 'cart-1') \gset
UPDATE voucher SET order_id = :'order_id' WHERE code = 'SPRING' AND order_id IS NULL;
COMMIT;

-- The second cart finds the voucher taken, and gives its order up.
BEGIN;
SELECT order_id
FROM oms.create_order('customer-8', 'EUR', '[{"sku": "CUP-1", "qty": 1, "price_minor": 1200}]', 'cart-2') \gset
UPDATE voucher SET order_id = :'order_id' WHERE code = 'SPRING' AND order_id IS NULL;
SELECT :ROW_COUNT = 0 AS taken \gset
\if :taken
ROLLBACK;
\else
COMMIT;
\endif

SELECT o.customer_id, v.code FROM oms.list_orders() AS o LEFT JOIN voucher AS v USING (order_id);
SELECT count(*) AS events FROM oms.list_events();
