-- Functions for growing the tables to a size and for counting the pages that a call touches.
CREATE PROCEDURE bench.grow(first bigint, last bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    batch_size CONSTANT bigint := 1000;
BEGIN
    FOR start IN first .. last BY batch_size LOOP
        PERFORM count(*) FROM oms.create_orders(
            (SELECT jsonb_agg(jsonb_build_object('customer_id', bench.customer(n), 'currency', 'EUR', 'items', bench.items(),
                                                 'idempotency_key', 'grow-' || n))
               FROM generate_series(start, least(start + batch_size - 1, last)) n));
        COMMIT;
    END LOOP;
END $$;

-- Orders from all over the table, each moved on twice now, so that its events lie as far apart in the log as they can.
CREATE TABLE bench.sample (size bigint, order_id uuid);
CREATE PROCEDURE bench.take_sample(size bigint, sample_size bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    chosen uuid;
BEGIN
    FOR chosen IN SELECT order_id FROM oms.orders TABLESAMPLE BERNOULLI (100.0 * 2 * sample_size / size) WHERE status = 'pending'
                  ORDER BY random() LIMIT sample_size LOOP
        PERFORM oms.advance_order(chosen, 'reserve', 'reserve-' || chosen);
        PERFORM oms.advance_order(chosen, 'pay', 'pay-' || chosen);
        INSERT INTO bench.sample VALUES (size, chosen);
    END LOOP;
END $$;

-- Pages in the buffer cache that a statement touches, those of the statements inside it included.
CREATE FUNCTION bench.pages(statement text) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || statement INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END $$;
