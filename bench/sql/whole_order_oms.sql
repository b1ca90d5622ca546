-- The goods, and orders that are there before, as in whole_order.sql.
SELECT count(oms.set_stock('SKU-' || i, 1000000000, 'stock-' || i)) FROM generate_series(1, :skus) i;

DO $$
BEGIN
    PERFORM count(oms.pay_order(o.order_id, 'fill-pay-' || n))
    FROM generate_series(1, current_setting('bench.fill')::int) n,
         oms.create_order('customer-' || n, 'EUR', jsonb_build_array(
             jsonb_build_object('sku', 'SKU-' || n % 5000 + 1, 'qty', 2, 'price_minor', 10000),
             jsonb_build_object('sku', 'SKU-' || n % 5000 + 5001, 'qty', 1, 'price_minor', 2500)), 'fill-' || n) o;
    LOOP
        PERFORM count(outcome)
        FROM (SELECT array_agg(task_id) AS ids, array_agg(lease_epoch) AS epochs, jsonb_agg('{"provider_ref": "ch_fill"}'::jsonb) AS results
              FROM oms.claim_tasks('payments', 1000)) c, oms.complete_tasks(c.ids, c.epochs, c.results);
        EXIT WHEN NOT EXISTS (SELECT FROM oms.task WHERE status = 'ready');
        COMMIT;
    END LOOP;
END $$;
