-- The ground every measurement starts from: both schemas hold the same orders, freshly written, in tables that were just truncated.
--   psql -v fill=20000 -f ground.sql
CREATE SCHEMA bench;

-- The order everybody writes, so that the texts of the measurements say only how.
CREATE FUNCTION bench.items() RETURNS jsonb
    LANGUAGE sql IMMUTABLE AS $$
    SELECT '[{"sku": "SKU-001", "qty": 2, "price_minor": 10000}, {"sku": "SKU-002", "qty": 1, "price_minor": 2500}]'::jsonb
$$;

-- Customers are all different and come in no order, as in life: their index is hit all over. With the casts the planner can put the expression in the
-- place of the call; otherwise every order would pay for running a function of SQL.
CREATE FUNCTION bench.customer(n bigint) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$ SELECT 'customer-'::text || ((n * 7919) % 10000019)::text $$;

SELECT count(made) FROM (SELECT oms.create_order(bench.customer(-n), 'EUR', bench.items(), 'fill-' || n) AS made
                           FROM generate_series(1, :fill) n) filled;
CREATE UNLOGGED TABLE bench.fill_orders AS TABLE oms.orders;
CREATE UNLOGGED TABLE bench.fill_order_item AS TABLE oms.order_item;
CREATE UNLOGGED TABLE bench.fill_event AS TABLE oms.event;
CREATE UNLOGGED TABLE bench.fill_idempotency_key AS TABLE oms.idempotency_key;

-- The log refuses TRUNCATE by a trigger; as a replica, nothing is refused.
CREATE PROCEDURE bench.clear()
    LANGUAGE plpgsql SET session_replication_role = replica AS $$
BEGIN
    TRUNCATE oms.orders, oms.order_item, oms.event, oms.idempotency_key,
             rival.orders, rival.order_item, rival.event, rival.idempotency_key;
    PERFORM setval('oms.event_id_seq', 1, false), setval('rival.event_id_seq', 1, false);
END $$;

CREATE PROCEDURE bench.restore()
    LANGUAGE plpgsql AS $$
BEGIN
    CALL bench.clear();
    INSERT INTO oms.orders TABLE bench.fill_orders;
    INSERT INTO oms.order_item TABLE bench.fill_order_item;
    INSERT INTO oms.event TABLE bench.fill_event;
    INSERT INTO oms.idempotency_key TABLE bench.fill_idempotency_key;
    INSERT INTO rival.orders TABLE bench.fill_orders;
    INSERT INTO rival.order_item TABLE bench.fill_order_item;
    INSERT INTO rival.event TABLE bench.fill_event;
    INSERT INTO rival.idempotency_key TABLE bench.fill_idempotency_key;
    PERFORM setval('oms.event_id_seq', max(id)), setval('rival.event_id_seq', max(id)) FROM bench.fill_event;
END $$;

-- True when a schema holds, beyond the fill, `orders` orders with two items, one event and one key each: nobody may win by writing less.
CREATE FUNCTION bench.holds(schema_name text, orders bigint) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    held bigint[];
BEGIN
    EXECUTE format('SELECT ARRAY[(SELECT count(*) FROM %1$I.orders), (SELECT count(*) FROM %1$I.order_item),
                                 (SELECT count(*) FROM %1$I.event), (SELECT count(*) FROM %1$I.idempotency_key)]', schema_name)
       INTO held;
    orders := orders + (SELECT count(*) FROM bench.fill_orders);
    IF held = ARRAY[orders, 2 * orders, orders, orders] THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'schema % should hold % orders and holds (orders, items, events, keys) %', schema_name, orders, held;
END $$;

-- Orders one after the other in one session, with a commit now and then.
CREATE PROCEDURE bench.create_one_by_one(first bigint, last bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN first .. last LOOP
        PERFORM oms.create_order(bench.customer(n), 'EUR', bench.items(), 'one-by-one-' || n);
        IF n % 1000 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

ANALYZE;
