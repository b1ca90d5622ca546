-- Goal: 0 <= reserved <= on hand whatever is asked; an order's goods are reserved together or not at all, and leave or come back once.
-- Method: levels set and adjusted, orders reserved, released, confirmed, canceled, expired; then the same over buckets, and with bad input.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

CREATE FUNCTION test.stock(wanted text) RETURNS text LANGUAGE sql
    RETURN (SELECT format('%s/%s', reserved, on_hand) FROM oms.list_stock(jsonb_build_object('sku', wanted)));
CREATE FUNCTION test.order_of(items jsonb) RETURNS uuid LANGUAGE sql
    RETURN (SELECT order_id FROM oms.create_order('buyer', 'EUR', items, test.key()));
CREATE FUNCTION test.one(sku text, qty bigint DEFAULT 1) RETURNS uuid LANGUAGE sql
    RETURN test.order_of(jsonb_build_array(jsonb_build_object('sku', sku, 'qty', qty, 'price_minor', 1)));

-- Levels.
SELECT sku, on_hand, reserved, available, buckets, replayed FROM oms.set_stock('apple', 10, 'stock-1');
SELECT sku, on_hand, reserved, available, buckets, replayed FROM oms.set_stock('apple', 10, 'stock-1');
SELECT test.fails($$SELECT oms.set_stock('apple', 11, 'stock-1')$$, 'OM008', 'the key for another level');
SELECT on_hand FROM oms.adjust_stock('apple', 5, 'delivery', 'stock-2');
SELECT on_hand, replayed FROM oms.adjust_stock('apple', 5, 'delivery', 'stock-2');
SELECT on_hand FROM oms.adjust_stock('apple', -5, 'broken', test.key());
SELECT test.fails($$SELECT oms.adjust_stock('apple', -11, 'stolen', test.key())$$, 'OM010', 'more taken than is there');
SELECT test.fails($$SELECT oms.adjust_stock('unheard of', 1, 'x', test.key())$$, 'OM002', 'a sku that was never set');
SELECT on_hand FROM oms.set_stock('pear', 3, test.key());
SELECT on_hand FROM oms.set_stock('nothing', 0, test.key());
SELECT oms.get_stock('apple') - 'updated_at';
SELECT test.fails($$SELECT oms.get_stock('unheard of')$$, 'OM002', 'a sku without stock');
SELECT type, payload - 'occurred_at' FROM oms.read_stream('stock', 'apple');
SELECT test.fails($$SELECT oms.append_events('stock', 'apple', NULL, '[{"type": "x", "payload": {}}]')$$, 'OM027', 'a history of stock that did not happen');

-- All items or none; lines of one sku count together.
SELECT test.order_of('[{"sku": "pear", "qty": 1, "price_minor": 1}, {"sku": "apple", "qty": 2, "price_minor": 1}, {"sku": "apple", "qty": 3, "price_minor": 1}]') AS a \gset
SELECT status, version FROM oms.reserve(:'a', 'reserve-1');
SELECT status, version, replayed FROM oms.reserve(:'a', 'reserve-1');
SELECT test.equal(test.stock('apple'), '5/10', 'apples reserved'), test.equal(test.stock('pear'), '1/3', 'pears reserved');
SELECT seq, type, prev_status, status, payload -> 'items' AS items FROM oms.order_timeline(:'a') WHERE seq > 1;
SELECT test.order_of('[{"sku": "pear", "qty": 2, "price_minor": 1}, {"sku": "apple", "qty": 6, "price_minor": 1}, {"sku": "unheard of", "qty": 1, "price_minor": 1}]') AS b \gset
SELECT message, detail, hint FROM (SELECT replace(message, :'b', 'ORDER') AS message, detail, hint FROM test.outcome(format('SELECT oms.reserve(%L, ''reserve-2'')', :'b'))) o;
SELECT test.equal(test.stock('apple'), '5/10', 'no apple of a failed reservation'), test.equal(test.stock('pear'), '1/3', 'nor a pear');
SELECT test.equal(test.timeline(:'b'), '{order.created}', 'and nothing on its timeline');
-- The key of a call that failed is free; when there is enough, the same call goes through.
SELECT on_hand FROM oms.set_stock('unheard of', 1, test.key());
SELECT on_hand FROM oms.adjust_stock('apple', 1, NULL, test.key());
SELECT status FROM oms.reserve(:'b', 'reserve-2');
SELECT test.equal(test.stock('apple'), '11/11', 'apples are gone'), test.equal(test.stock('pear'), '3/3', 'pears too');
SELECT test.fails($$SELECT oms.adjust_stock('apple', -1, 'x', test.key())$$, 'OM010', 'what is reserved cannot be taken');
SELECT test.fails($$SELECT oms.set_stock('apple', 10, test.key())$$, 'OM010', 'nor be counted away');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', test.one('apple')), 'OM010', 'the last apple');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', test.one('nothing')), 'OM010', 'of a sku with no piece');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', test.one('apple', 9223372036854775807)), 'OM010', 'more than there can be');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', test.order_of('[{"sku": "apple", "qty": 9223372036854775807, "price_minor": 0}, {"sku": "apple", "qty": 9223372036854775807, "price_minor": 0}]')), 'OM010', 'a sum beyond all numbers');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', :'a'), 'OM003', 'a second time');

-- The ends: canceled before and after it is confirmed, shipped, released by hand.
SELECT status FROM oms.cancel_order(:'b', 'changed my mind', test.key());
SELECT test.equal(test.stock('apple'), '5/11', 'canceled goods are free'), test.equal(test.stock('unheard of'), '0/1', 'all of them');
SELECT type, reason, payload -> 'items' AS items FROM oms.order_timeline(:'b') WHERE seq > 3;
SELECT status FROM test.advance(:'a', 'pay');
SELECT test.fails(format('SELECT oms.release(%L, ''x'', test.key())', :'a'), 'OM003', 'goods that are paid for');
SELECT status FROM test.advance(:'a', 'confirm');
SELECT test.equal(test.stock('apple'), '0/6', 'confirmed goods have left the stock');
SELECT status FROM oms.cancel_order(:'a', 'x', test.key());
SELECT test.equal(test.stock('apple'), '0/11', 'and are back when they never left the house'), test.equal(test.stock('pear'), '0/3', 'all of them');
SELECT test.equal(array_agg(DISTINCT status ORDER BY status), '{consumed}', 'what was consumed stays so') FROM oms.reservation WHERE order_id = :'a' AND returned_at IS NOT NULL;
SELECT test.one('apple', 4) AS c \gset
SELECT status FROM oms.reserve(:'c', test.key());
SELECT (test.advance(:'c', action)).status FROM unnest('{pay, confirm, ship}'::text[]) action;
SELECT status FROM test.advance(:'c', 'refund');
SELECT test.equal(test.stock('apple'), '0/7', 'shipped goods do not come back with the money');
SELECT test.one('apple', 2) AS d \gset
SELECT status FROM oms.reserve(:'d', test.key());
SELECT status, version FROM oms.release(:'d', 'recount', 'goods-release-1');
SELECT status, version, replayed FROM oms.release(:'d', 'recount', 'goods-release-1');
SELECT test.equal(test.stock('apple'), '0/7', 'released once');
SELECT test.fails(format('SELECT oms.release(%L, ''x'', test.key())', :'d'), 'OM003', 'nothing is left to release');
SELECT status FROM oms.reserve(:'d', test.key());
SELECT test.equal(test.stock('apple'), '2/7', 'reserved again');
SELECT test.timeline(:'d');
SELECT test.one('apple') AS h \gset
SELECT status FROM oms.hold_order(:'h', 'x', test.key());
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', :'h'), 'OM004', 'on hold');
SELECT test.fails(format('SELECT oms.reserve(%L, test.key(), expected_version => 7)', test.one('apple')), 'OM006', 'at another version');

-- Other items: what is held is exchanged, or nothing is; the deadline stays.
SELECT test.one('apple', 2) AS k \gset
SELECT status FROM oms.reserve(:'k', test.key(), interval '50 years');
SELECT expires_at AS deadline FROM oms.reservation WHERE order_id = :'k' \gset
SELECT test.fails(format('SELECT oms.amend_order(%L, %L, test.key())', :'k', '[{"sku": "apple", "qty": 6, "price_minor": 1}]'), 'OM010', 'exchanged for more than there is');
SELECT test.equal(test.stock('apple'), '4/7', 'the old ones are held as before');
SELECT total_minor FROM oms.amend_order(:'k', '[{"sku": "apple", "qty": 5, "price_minor": 1}]', test.key());
SELECT test.equal(test.stock('apple'), '7/7', 'exchanged for more');
SELECT test.equal(expires_at, :'deadline', 'under the same deadline') FROM oms.reservation WHERE order_id = :'k' AND status = 'reserved';
SELECT (test.advance(:'k', action)).status FROM unnest('{pay, confirm}'::text[]) action;
SELECT total_minor FROM oms.amend_order(:'k', '[{"sku": "apple", "qty": 1, "price_minor": 3}, {"sku": "pear", "qty": 1, "price_minor": 2}]', test.key());
SELECT test.equal(test.stock('apple') || ', ' || test.stock('pear'), '2/6, 0/2', 'what was consumed too');
SELECT status FROM oms.cancel_order(:'k', 'x', test.key());
SELECT test.equal(test.stock('apple') || ', ' || test.stock('pear'), '2/7, 0/3', 'and comes back once');

-- Expiry: the goods of an order nobody pays come back, and the order with them; a paid one keeps them.
SELECT test.one('pear') AS e \gset
SELECT test.one('pear') AS f \gset
SELECT status FROM oms.reserve(:'e', test.key(), interval '1 hour');
SELECT status FROM oms.reserve(:'f', test.key(), interval '1 hour');
SELECT status FROM test.advance(:'f', 'pay');
SELECT test.equal(test.stock('pear'), '2/3', 'both hold a pear');
SELECT count(*) > 0 FROM oms.run_due();
SELECT test.equal(test.stock('pear'), '2/3', 'an hour has not passed');
SET oms.now_override = '2099-01-01';
SELECT count(*) > 0 FROM oms.run_due();
RESET oms.now_override;
SELECT test.equal(test.stock('pear'), '1/3', 'one pear came back');
SELECT order_id = :'e' AS unpaid, status FROM oms.orders WHERE order_id IN (:'e', :'f') ORDER BY 1;
SELECT test.equal(test.timeline(:'e'), '{order.created,inventory.reserved,order.reserved,inventory.released,order.canceled}', 'the story of an order that expired');
SELECT test.equal(array_agg(status ORDER BY status), '{expired}', 'its reservation expired') FROM oms.reservation WHERE order_id = :'e';

-- Buckets: the same stock over several rows.
SELECT on_hand, buckets FROM oms.set_stock('hot', 10, test.key(), buckets => 4);
SELECT test.equal(array_agg(on_hand ORDER BY bucket), '{3,3,2,2}', 'spread evenly') FROM oms.stock WHERE sku = 'hot';
SELECT test.one('hot', 7) AS g \gset
SELECT status FROM oms.reserve(:'g', test.key());
SELECT test.equal(test.stock('hot'), '7/10', 'put together from several buckets');
SELECT count(*) FROM (SELECT status FROM generate_series(1, 3) i, LATERAL oms.reserve(test.one('hot', sign(i)::bigint), test.key())) s WHERE status = 'reserved';
SELECT detail FROM test.outcome(format('SELECT oms.reserve(%L, test.key())', test.one('hot')));
SELECT test.equal(test.stock('hot'), '10/10', 'exactly all');
SELECT on_hand, reserved, buckets FROM oms.set_stock('hot', 12, test.key(), buckets => 3);
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity with fewer buckets');
SELECT status FROM oms.cancel_order(:'g', 'x', test.key());
SELECT test.equal(test.stock('hot'), '3/12', 'pieces find their new homes');
SELECT on_hand, reserved, buckets FROM oms.set_stock('hot', 12, test.key(), buckets => 64);
SELECT status FROM oms.reserve(test.one('hot', 9), test.key());
SELECT test.fails(format('SELECT oms.reserve(%L, test.key())', test.one('hot', 1)), 'OM010', 'one more');
SELECT on_hand, buckets FROM oms.adjust_stock('hot', 100, 'delivery', test.key());
SELECT count(*) FROM oms.orders o, LATERAL oms.cancel_order(o.order_id, 'x', test.key()) WHERE o.status = 'reserved' AND EXISTS (SELECT FROM oms.reservation r WHERE r.order_id = o.order_id AND r.sku = 'hot');
SELECT on_hand, reserved, buckets FROM oms.set_stock('hot', 0, test.key(), buckets => 1);

-- Bad input.
SELECT test.fails(statement, state, statement) FROM (VALUES
    ('SELECT oms.set_stock(NULL, 1, test.key())', 'OM001'), ('SELECT oms.set_stock('''', 1, test.key())', 'OM001'),
    ('SELECT oms.set_stock(repeat(''x'', 256), 1, ''k'')', 'OM001'), ('SELECT oms.set_stock(''a'', NULL, test.key())', 'OM001'),
    ('SELECT oms.set_stock(''a'', -1, test.key())', 'OM001'), ('SELECT oms.set_stock(''a'', 1)', 'OM007'),
    ('SELECT oms.set_stock(''a'', 1, '''')', 'OM007'), ('SELECT oms.set_stock(''a'', 1, test.key(), 0)', 'OM001'),
    ('SELECT oms.set_stock(''a'', 1, test.key(), 65)', 'OM001'), ('SELECT oms.set_stock(''a'', 1, test.key(), -2147483648)', 'OM001'),
    ('SELECT oms.set_stock(''a'', 1, test.key(), 1, repeat(''x'', 2001))', 'OM001'),
    ('SELECT oms.adjust_stock(NULL, 1, NULL, test.key())', 'OM001'), ('SELECT oms.adjust_stock(''apple'', NULL, NULL, test.key())', 'OM001'),
    ('SELECT oms.adjust_stock(''apple'', 0, NULL, test.key())', 'OM001'), ('SELECT oms.adjust_stock(''apple'', 1, NULL)', 'OM007'),
    ('SELECT oms.adjust_stock(''apple'', 9223372036854775807, NULL, test.key())', 'OM001'),
    ('SELECT oms.adjust_stock(''apple'', -9223372036854775808, NULL, test.key())', 'OM010'),
    ('SELECT oms.reserve(NULL, test.key())', 'OM001'), ('SELECT oms.reserve(gen_random_uuid(), test.key())', 'OM002'),
    ('SELECT oms.reserve(''00000000-0000-7000-8000-000000000000'', test.key())', 'OM002'),
    ('SELECT oms.reserve(gen_random_uuid())', 'OM007'), ('SELECT oms.reserve(gen_random_uuid(), test.key(), ''0'')', 'OM001'),
    ('SELECT oms.reserve(gen_random_uuid(), test.key(), ''-1 s'')', 'OM001'), ('SELECT oms.reserve(gen_random_uuid(), test.key(), ''200 years'')', 'OM001'),
    ('SELECT oms.release(NULL, NULL, test.key())', 'OM001'), ('SELECT oms.release(gen_random_uuid(), NULL, test.key())', 'OM002'),
    ('SELECT oms.release(gen_random_uuid())', 'OM007'), ('SELECT oms.get_stock(NULL)', 'OM001'),
    ('SELECT * FROM oms.list_stock(''[]'')', 'OM001'), ('SELECT * FROM oms.list_stock(''{"color": 1}'')', 'OM001'),
    ('SELECT * FROM oms.list_stock(''{"sku": 1}'')', 'OM001'), ('SELECT * FROM oms.list_stock("limit" => 0)', 'OM001')) v(statement, state);
SELECT sku, next_cursor FROM oms.list_stock('{"sku": ["apple", "pear", "hot"]}', "limit" => 2);
SELECT sku FROM oms.list_stock('{"sku": ["apple", "pear", "hot"]}', 'hot');

-- Under REPEATABLE READ nobody acts on stock that his snapshot cannot see; here nothing was changed by anybody else.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT status FROM oms.reserve(test.one('apple'), test.key());
SELECT status FROM oms.reserve(test.one('apple'), test.key());
COMMIT;
-- What was reserved in a transaction that rolled back never was.
SELECT test.stock('apple') AS level \gset
BEGIN;
SELECT status FROM oms.reserve(test.one('apple'), test.key());
SAVEPOINT s;
SELECT status FROM oms.reserve(test.one('apple'), test.key());
ROLLBACK TO s;
SELECT status FROM oms.reserve(test.one('apple'), test.key());
ROLLBACK;
SELECT test.equal(test.stock('apple'), :'level', 'rolled back');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
