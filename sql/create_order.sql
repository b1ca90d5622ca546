-- Goal: create_order writes what it says: the row, its items, one event and the key, under an id that tells time and customer.
-- Method: one order with everything under a fixed clock, compared column by column; then the edges of what is legal.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 12:34:56.789012+00';
SET oms.correlation_id = 'c-17';

CREATE TEMP TABLE answer AS SELECT * FROM oms.create_order(
    customer_id => 'customer-7', currency => 'EUR',
    items => '[{"sku": "SKU-001", "qty": 2, "price_minor": 10000, "color": "red", "parts": [1, {"a": null}]},
               {"sku": "SKU-002", "qty": 1, "price_minor": 0}]',
    idempotency_key => 'create-1', external_ref => 'shop/4711', metadata => '{"channel": "web", "notes": ["ü", "€"]}');
SELECT status, version, customer_id, currency, total_minor, paid_minor, refunded_minor, on_hold, pending_action, created_at, updated_at, replayed
FROM answer;
SELECT order_id AS a_order_id, created_at AS a_created_at FROM answer \gset

-- The rows
SELECT customer_id, status, on_hold, hold_reason, pending_action, currency, total_minor, paid_minor, refunded_minor, version,
       external_ref, metadata, created_at, updated_at, last_seq, first_event_id = last_event_id AS one_event
FROM oms.orders WHERE order_id = :'a_order_id';
SELECT line_no, sku, qty, price_minor, details, created_at FROM oms.order_item WHERE order_id = :'a_order_id' ORDER BY line_no;
SELECT aggregate_type, aggregate_id = :'a_order_id' AS its_own, seq, type, topic, key = :'a_order_id' AS keyed, payload - 'order_id' AS payload,
       payload ->> 'order_id' = :'a_order_id' AS named, headers, occurred_at, xid = (SELECT xmin::text::xid8 FROM oms.orders WHERE order_id = :'a_order_id') AS same_transaction
FROM oms.event WHERE aggregate_id = :'a_order_id';
SELECT key, operation, created_at FROM oms.idempotency_key WHERE key = 'create-1';

-- The id
SELECT test.equal(substr(:'a_order_id', 15, 1), '7', 'the id is a UUID of version 7');
SELECT test.equal((f).created_at, :'a_created_at'::timestamptz, 'created_at is the time in the id') FROM oms.order_facts(:'a_order_id') f;
SELECT test.equal((f).customer_hash, oms.customer_hash('customer-7'), 'the customer''s hash is in the id') FROM oms.order_facts(:'a_order_id') f;
SELECT test.equal(created_at, now_override::timestamptz, 'created_at is the clock''s time to the microsecond')
FROM oms.orders, current_setting('oms.now_override') now_override WHERE order_id = :'a_order_id';
SELECT test.equal((oms.order_facts('6ba7b810-9dad-11d1-80b4-00c04fd430c8')).created_at, NULL::timestamptz, 'an id of other origin says nothing');
CREATE TEMP TABLE earlier AS SELECT order_id FROM oms.create_order('customer-9', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key());
SET oms.now_override = '2026-03-01 12:34:56.789013+00';
CREATE TEMP TABLE later AS SELECT order_id FROM oms.create_order('customer-1', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key());
SELECT test.ok(e.order_id < l.order_id, 'an order made a microsecond later has a greater id') FROM earlier e, later l;

-- At the edges of what is legal
SELECT total_minor FROM oms.create_order('c', 'EUR', '[{"sku": "free", "qty": 1, "price_minor": 0}]', test.key());
SELECT total_minor FROM oms.create_order('c', 'JPY', '[{"sku": "a", "qty": 9223372036854775807, "price_minor": 1}]', test.key());
SELECT total_minor FROM oms.create_order('c', 'JPY', '[{"sku": "a", "qty": 1, "price_minor": 9223372036854775806}, {"sku": "b", "qty": 1, "price_minor": 1}]', test.key());
SELECT total_minor FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 2.0, "price_minor": 1e3}]', test.key());
SELECT length(customer_id), octet_length(customer_id) FROM oms.create_order(repeat('é', 127) || 'x', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key());
SELECT total_minor FROM oms.create_order('c', 'EUR', jsonb_build_array(jsonb_build_object('sku', repeat('s', 255), 'qty', 1, 'price_minor', 1)), test.key());
SELECT total_minor FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1, "currency": "EUR"}]', repeat('k', 255));
-- The same sku twice is two lines.
SELECT order_id AS twice FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}, {"sku": "a", "qty": 1, "price_minor": 2}]', test.key()) \gset
SELECT line_no, sku, price_minor FROM oms.order_item WHERE order_id = :'twice' ORDER BY line_no;
-- Members that are known as columns of other tables are kept like all others; the last of two equal members counts, as jsonb has it.
SELECT order_id AS kept FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1, "order_id": 1, "line_no": 99, "": true, "qty": 3}]', test.key()) \gset
SELECT qty, details FROM oms.order_item WHERE order_id = :'kept';

-- 100,000 items are the most that one order may have.
SELECT order_id AS large FROM oms.create_order('c', 'EUR',
    (SELECT jsonb_agg(jsonb_build_object('sku', 'SKU-' || i, 'qty', 1, 'price_minor', i)) FROM generate_series(1, 100000) i), test.key()) \gset
SELECT test.equal((SELECT (count(*), sum(price_minor), min(line_no), max(line_no))::text FROM oms.order_item WHERE order_id = :'large'),
    (100000, 5000050000, 1, 100000)::text, '100,000 items are written');
SELECT test.equal(jsonb_array_length(oms.get_order(:'large') -> 'items'), 100000, '100,000 items are read');

-- PostgreSQL calls f once for each column in "SELECT (f(...)).*": the key makes one order of it.
SELECT (oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'star', 'star')).* \gset star_
SELECT test.equal(count(*), 1::bigint, 'one order, however often it is called') FROM oms.orders WHERE external_ref = 'star';

-- Called for each row of a statement, and from a function that catches errors.
CREATE TEMP TABLE many AS SELECT o.* FROM generate_series(1, 1000) i,
    LATERAL oms.create_order('many-' || i % 10, 'EUR', jsonb_build_array(jsonb_build_object('sku', 'a', 'qty', i, 'price_minor', 10)), 'many-' || i) o;
SELECT test.equal((SELECT (count(DISTINCT order_id), sum(total_minor))::text FROM many), (1000, 5005000)::text, 'a thousand orders by one statement');
SELECT test.equal(count(*), 1000::bigint, 'each has its event') FROM many m JOIN oms.event e ON e.aggregate_id = m.order_id::text AND e.type = 'order.created';
DO $$
BEGIN
    PERFORM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'caught-1');
    BEGIN
        PERFORM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'caught-2');
        PERFORM oms.create_order('c', 'EUR', '[]', 'caught-3');
    EXCEPTION WHEN SQLSTATE 'OM001' THEN
        PERFORM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'caught-4');
    END;
END $$;
SELECT array_agg(key ORDER BY key) FROM oms.idempotency_key WHERE key LIKE 'caught-%';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
