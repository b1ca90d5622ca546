-- Goal: amend_order replaces the items of an order that is not shipped; the total follows, but not once the order is paid.
-- Method: amendments in each state, compared with the rows and the event; a replay; items that are wrong.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

SELECT test.make_order() AS a \gset
SELECT total_minor, version, status FROM oms.amend_order(:'a', '[{"sku": "NEW", "qty": 3, "price_minor": 100, "size": "L"}]', 'amend-1', reason => 'other size');
SELECT line_no, sku, qty, price_minor, details FROM oms.order_item WHERE order_id = :'a' ORDER BY line_no;
SELECT seq, type, prev_status, status, reason, payload -> 'prev_total_minor' AS before, payload -> 'total_minor' AS after, payload -> 'items' AS items
FROM oms.order_timeline(:'a') WHERE seq > 1;
SELECT test.equal((SELECT i.created_at FROM oms.order_item i WHERE order_id = :'a'), (SELECT o.created_at FROM oms.orders o WHERE order_id = :'a'), 'the new items lie with their order');
SELECT total_minor, version, replayed FROM oms.amend_order(:'a', '[{"sku": "NEW", "qty": 3, "price_minor": 100, "size": "L"}]', 'amend-1', reason => 'other size');
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "NEW", "qty": 4, "price_minor": 100, "size": "L"}]', 'amend-1', reason => 'other size')$$, :'a'), 'OM008', 'other items under the same key');
-- Twice in one transaction, more lines than before, fewer lines than before.
BEGIN;
SELECT total_minor FROM oms.amend_order(:'a', '[{"sku": "a", "qty": 1, "price_minor": 1}, {"sku": "b", "qty": 1, "price_minor": 2}, {"sku": "c", "qty": 1, "price_minor": 4}]', test.key());
SELECT total_minor FROM oms.amend_order(:'a', '[{"sku": "d", "qty": 2, "price_minor": 50}]', test.key());
SELECT count(*) FROM oms.order_item WHERE order_id = :'a';
COMMIT;
SELECT line_no, sku, qty, price_minor FROM oms.order_item WHERE order_id = :'a';
SELECT status, paid_minor FROM test.advance(:'a', 'reserve');
SELECT total_minor FROM oms.amend_order(:'a', '[{"sku": "d", "qty": 1, "price_minor": 70}]', test.key());
SELECT status, paid_minor FROM test.advance(:'a', 'pay');

-- Paid: other items for the same total only.
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "d", "qty": 1, "price_minor": 71}]', test.key())$$, :'a'), 'OM001', 'another total after payment');
SELECT total_minor, paid_minor FROM oms.amend_order(:'a', '[{"sku": "e", "qty": 7, "price_minor": 10}]', test.key());
SELECT status FROM test.advance(:'a', 'confirm');
SELECT total_minor FROM oms.amend_order(:'a', '[{"sku": "f", "qty": 1, "price_minor": 70}]', test.key());
-- Also a free order is paid once it is paid.
SELECT order_id AS f FROM oms.create_order('c', 'EUR', '[{"sku": "free", "qty": 1, "price_minor": 0}]', test.key()) \gset
SELECT status FROM test.advance(:'f', 'reserve');
SELECT status FROM test.advance(:'f', 'pay');
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "gold", "qty": 1, "price_minor": 100000}]', test.key())$$, :'f'), 'OM001', 'a free order that is paid stays free');
SELECT total_minor FROM oms.amend_order(:'f', '[{"sku": "free too", "qty": 2, "price_minor": 0}]', test.key());

-- Not in these states; on hold it may be.
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "d", "qty": 5, "price_minor": 500}]', test.key())$$, test.make_order(wanted)), 'OM003', 'amend when ' || wanted)
FROM unnest('{shipped, completed, canceled, refunded}'::text[]) wanted;
SELECT test.make_order('paid') AS h \gset
SELECT on_hold FROM oms.hold_order(:'h', 'x', test.key());
SELECT on_hold, total_minor FROM oms.amend_order(:'h', '[{"sku": "d", "qty": 5, "price_minor": 500}]', test.key());

-- Wrong items change nothing.
SELECT test.make_order() AS b \gset
SELECT test.fails(format('SELECT oms.amend_order(%L, %L, test.key())', :'b', bad), 'OM001', 'items ' || bad)
FROM unnest('{"[]", "{}", "null", "[null]", "[{\"sku\": \"a\"}]", "[{\"sku\": \"a\", \"qty\": 0, \"price_minor\": 1}]", "[{\"sku\": \"a\", \"qty\": 9223372036854775807, \"price_minor\": 2}]"}'::text[]) bad;
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "a", "qty": 1, "price_minor": 1, "currency": "USD"}]', test.key())$$, :'b'), 'OM014', 'items in another currency');
SELECT test.fails(format($$SELECT oms.amend_order(%L, '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 9)$$, :'b'), 'OM006', 'another version');
SELECT test.equal((SELECT (version, total_minor, last_seq)::text FROM oms.orders WHERE order_id = :'b'), '(0,2500,1)', 'the order is as it was');
SELECT test.equal(count(*), 2::bigint, 'and so are its items') FROM oms.order_item WHERE order_id = :'b';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
