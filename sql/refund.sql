-- Goal: what is refunded never exceeds what was paid, a part does not end the order, and the last part does.
-- Method: parts, the rest, amounts beside the range, equal parts under keys of their own and under one key.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

SELECT test.make_order('shipped') AS a \gset
SELECT status, refunded_minor, version FROM oms.refund_order(:'a', 1000, 'dented', 'refund-1');
-- The same amount again is another refund when its key is another, and none when it is the same.
SELECT status, refunded_minor, version, replayed FROM oms.refund_order(:'a', 1000, 'dented', 'refund-2');
SELECT status, refunded_minor, version, replayed FROM oms.refund_order(:'a', 1000, 'dented', 'refund-2');
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1000, 'dented', 'refund-3')$$, :'a'), 'OM013', 'more than is left');
SELECT message, detail, hint FROM (SELECT replace(message, :'a', 'ORDER') AS message, detail, hint FROM test.outcome(format($$SELECT oms.refund_order(%L, 1000, 'dented', 'refund-3')$$, :'a'))) o;
-- A key whose command failed is free.
SELECT status, refunded_minor FROM oms.refund_order(:'a', 499, NULL, 'refund-3');
SELECT status, refunded_minor FROM oms.refund_order(:'a', reason => 'the rest', idempotency_key => 'refund-4');
SELECT status, refunded_minor, paid_minor FROM oms.orders WHERE order_id = :'a';
SELECT seq, type, prev_status, status, reason, payload -> 'amount_minor' AS amount, payload -> 'refunded_minor' AS refunded, payload ->> 'currency' AS currency
FROM oms.order_timeline(:'a') WHERE seq > 5;
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1, 'x', test.key())$$, :'a'), 'OM003', 'nothing more once it is refunded');
SELECT test.fails(format($$SELECT oms.refund_order(%L, NULL, 'x', test.key())$$, :'a'), 'OM003', 'nor the rest of it');

-- The whole at once, as an amount and as the rest; the exact rest as an amount.
SELECT status, refunded_minor FROM oms.refund_order(test.make_order('paid'), 2500, 'x', test.key());
SELECT status, refunded_minor FROM oms.refund_order(test.make_order('confirmed'), NULL, 'x', test.key());
SELECT test.make_order('completed') AS c \gset
SELECT status, refunded_minor FROM oms.refund_order(:'c', 2499, 'x', test.key());
SELECT status, refunded_minor FROM oms.refund_order(:'c', 1, 'x', test.key());

-- Amounts that are none.
SELECT test.make_order('paid') AS b \gset
SELECT test.fails(format('SELECT oms.refund_order(%L, %s, ''x'', test.key())', :'b', amount), state, 'refund of ' || amount)
FROM (VALUES (0, 'OM001'), (-1, 'OM001'), (-9223372036854775808, 'OM001'), (2501, 'OM013'), (9223372036854775807, 'OM013')) v(amount, state);
SELECT test.equal((SELECT (status, refunded_minor, version, last_seq)::text FROM oms.orders WHERE order_id = :'b'), '(paid,0,2,3)', 'the order is as it was');

-- Only where money was taken.
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1, 'x', test.key())$$, test.make_order(wanted)), 'OM003', 'refund when ' || wanted)
FROM unnest('{pending, reserved, canceled, refunded}'::text[]) wanted;
-- A hold does not keep the money.
SELECT on_hold FROM oms.hold_order(:'b', 'x', test.key());
SELECT status, refunded_minor, on_hold FROM oms.refund_order(:'b', 100, 'x', test.key());
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1, 'x', test.key(), 0)$$, :'b'), 'OM006', 'refund at another version');

-- refund_order and advance_order(..., 'refund') are two requests.
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'refund', 'refund-1')$$, :'b'), 'OM008', 'the key of a refund for a transition');
-- A free order is refunded in full by nothing.
SELECT order_id AS f FROM oms.create_order('c', 'EUR', '[{"sku": "free", "qty": 1, "price_minor": 0}]', test.key()) \gset
SELECT status FROM test.advance(:'f', 'reserve');
SELECT status FROM test.advance(:'f', 'pay');
SELECT test.fails(format($$SELECT oms.refund_order(%L, 1, 'x', test.key())$$, :'f'), 'OM013', 'more than nothing');
SELECT status, refunded_minor FROM oms.refund_order(:'f', NULL, 'x', test.key());

-- A thousand refunds of 1 on 2500: the sum is right, and so is every event.
SELECT test.make_order('paid') AS t \gset
SELECT count(*), max(refunded_minor) FROM generate_series(1, 1000) i, LATERAL oms.refund_order(:'t', 1, 'x', 'drop-' || i);
SELECT test.equal((SELECT sum((payload ->> 'amount_minor')::bigint) FROM oms.order_timeline(:'t') WHERE type = 'order.partially_refunded'), 1000::numeric, 'the events add up');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
