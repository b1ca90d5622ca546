-- A shop with goods, a saga that waits for an answer or for three weeks to pass, and one that waits for a moment only.
SELECT count(oms.set_stock('SKU-' || i, 1000000000, 'stock-' || i)) FROM generate_series(1, 10000) i;
SELECT oms.define_saga('bench.waiting', '{"steps": [{"name": "answer", "kind": "wait", "signal": "answer", "deadline_ms": 1814400000}]}');
SELECT oms.define_saga('bench.moment', '{"steps": [{"name": "answer", "kind": "wait", "signal": "answer", "deadline_ms": 1, "on_deadline": "continue"}]}');

-- Waiting sagas, each with its timer, by the calls that make them in life.
CREATE SCHEMA bench;
CREATE PROCEDURE bench.wait_for(first bigint, last bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    batch_size CONSTANT bigint := 10000;
BEGIN
    FOR start IN first .. last BY batch_size LOOP
        PERFORM count(oms.start_saga('bench.waiting', jsonb_build_object('n', n), 'waiting-' || n, 'customer-' || n))
        FROM generate_series(start, least(start + batch_size - 1, last)) n;
        COMMIT;
    END LOOP;
END $$;

-- Places an order of two items and begins to pay it; of goods of which there are many, so that it is not a row's lock that is measured.
CREATE FUNCTION bench.place(n bigint, key text) RETURNS text
    LANGUAGE sql AS $$
    SELECT (oms.pay_order(o.order_id, key || '/pay')).status
    FROM oms.create_order('customer-' || n, 'EUR', jsonb_build_array(
             jsonb_build_object('sku', 'SKU-' || n % 5000 + 1, 'qty', 2, 'price_minor', 10000),
             jsonb_build_object('sku', 'SKU-' || n % 5000 + 5000 + 1, 'qty', 1, 'price_minor', 2500)), key) o
$$;

-- Does what is due; answers the pages that touched, and microseconds.
CREATE FUNCTION bench.run_due(OUT pages bigint, OUT us double precision)
    LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT oms.run_due(100000)' INTO plan;
    pages := (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
    us := (plan #>> '{0,Execution Time}')::double precision * 1000;
END $$;
