-- Goal: create_orders does for many orders what create_order does for one: all or none, one answer each, in the order given.
-- Method: batches of 1, 3, 1,000 and 10,000; keys that are new, used, repeated; a batch whose last order is wrong.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

CREATE FUNCTION pg_temp.batch(keys text[], price bigint DEFAULT 10) RETURNS jsonb LANGUAGE sql RETURN (
    SELECT jsonb_agg(jsonb_build_object('customer_id', 'batch-' || i, 'currency', 'EUR', 'idempotency_key', key, 'metadata', jsonb_build_object('n', i),
        'external_ref', 'ref-' || i, 'items', jsonb_build_array(jsonb_build_object('sku', 'a', 'qty', i, 'price_minor', price))) ORDER BY i)
    FROM unnest(keys) WITH ORDINALITY k(key, i));

-- The answers stand in the order of the requests.
SELECT ordinality, status, version, customer_id, currency, total_minor, replayed
FROM oms.create_orders(pg_temp.batch('{b1, b2, b3}')) WITH ORDINALITY ORDER BY ordinality;
SELECT o.customer_id, o.external_ref, o.metadata, o.total_minor, o.last_seq, i.sku, i.qty, i.price_minor, e.type, e.seq, e.payload ->> 'total_minor' AS told
FROM oms.orders o JOIN oms.order_item i USING (order_id) JOIN oms.event e ON e.aggregate_id = o.order_id::text
WHERE o.customer_id LIKE 'batch-%' ORDER BY 1;
SELECT count(*) FROM oms.create_orders('[]');

-- The form of the batch is the form of the single command: the same key answers in both.
SELECT replayed FROM oms.create_order('batch-1', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 10}]', 'b1', 'ref-1', '{"n": 1}');
SELECT test.fails($$SELECT oms.create_order('batch-1', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 11}]', 'b1', 'ref-1', '{"n": 1}')$$, 'OM008',
    'another request under the key of a batch');

-- New ones among old ones; and all of them again.
SELECT ordinality, customer_id, replayed FROM oms.create_orders(pg_temp.batch('{b1, b4, b3, b5}')) WITH ORDINALITY ORDER BY ordinality;
SELECT test.fails($$SELECT oms.create_orders(pg_temp.batch('{b1, b2, b3}', 11))$$, 'OM008', 'another batch under the same keys');
SELECT bool_and(replayed), count(*) FROM oms.create_orders(pg_temp.batch('{b1, b2, b3}'));
SELECT test.fails($$SELECT oms.create_orders(pg_temp.batch('{b8, b9, b8}'))$$, 'OM001', 'one key twice in a batch');

-- All or none: the last of 300 is wrong, and the error names it.
SELECT message FROM test.outcome($$SELECT oms.create_orders(pg_temp.batch((SELECT array_agg('none-' || i) FROM generate_series(1, 299) i))
    || '[{"customer_id": "c", "currency": "EUR", "idempotency_key": "none-300", "items": [{"sku": "a", "qty": 0, "price_minor": 1}]}]')$$);
SELECT count(*) FROM oms.idempotency_key WHERE key LIKE 'none-%';
SELECT count(*) FROM oms.orders WHERE customer_id = 'batch-299';

-- 10,000 at once, more than one group of keys, and more than the server's lock table would hold.
CREATE TEMP TABLE answer AS SELECT * FROM oms.create_orders(pg_temp.batch((SELECT array_agg('bulk-' || i) FROM generate_series(1, 10000) i))) WITH ORDINALITY;
SELECT test.equal((SELECT (count(DISTINCT order_id), sum(total_minor), bool_or(replayed))::text FROM answer), (10000, 500050000, false)::text, '10,000 answers');
SELECT test.nothing($$SELECT * FROM answer WHERE customer_id <> 'batch-' || ordinality OR total_minor <> 10 * ordinality$$, 'each at its place');
SELECT test.equal((SELECT count(*) FROM answer a JOIN oms.orders o USING (order_id) JOIN oms.order_item i USING (order_id)
    JOIN oms.event e ON e.aggregate_id = order_id::text AND e.id = o.first_event_id), 10000::bigint, '10,000 rows, items and events');
SELECT test.equal(count(*), 10000::bigint, '10,000 keys') FROM oms.idempotency_key WHERE key LIKE 'bulk-%';
SELECT test.equal((SELECT count(*) FROM answer a JOIN oms.create_orders(pg_temp.batch((SELECT array_agg('bulk-' || i) FROM generate_series(1, 10000) i)))
    r USING (order_id, created_at, total_minor) WHERE r.replayed), 10000::bigint, '10,000 replays');
SELECT test.fails($$SELECT oms.create_orders((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 10001)))$$, 'OM001', '10,001 orders are too many');

-- Each of what an order must have, missing or wrong in the middle of a batch: the message names the order and the member.
SELECT o.* FROM unnest(ARRAY[
    '1', 'null', '"x"', '[]', '{}',
    '{"idempotency_key": "m1"}',
    '{"idempotency_key": "m1", "customer_id": "c"}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR"}',
    '{"idempotency_key": "m1", "customer_id": 7, "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}',
    '{"idempotency_key": "m1", "customer_id": "", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "euro", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": {}}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": []}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": -1}]}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1, "currency": "USD"}]}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}], "external_ref": ""}',
    '{"idempotency_key": "m1", "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}], "expires": 1}',
    '{"idempotency_key": "", "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}',
    '{"idempotency_key": 1, "customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}',
    '{"customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}']) WITH ORDINALITY b(bad, nth),
    LATERAL test.outcome(format('SELECT oms.create_orders(%L)', '[{"customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}], "idempotency_key": "m0"},' || bad || ']')) o
ORDER BY nth;
SELECT count(*) FROM oms.idempotency_key WHERE key IN ('m0', 'm1');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
