-- Goal: one key, one effect: the same request gets the first answer again, another request an error, and a rollback takes the key back.
-- Method: every command twice; keys at their limits; the clock moved across the TTL; purge; savepoints; 20,000 keys in one transaction.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00.000001+00';
CREATE TEMP SEQUENCE clock START 2;

-- Every command, called twice: the second answer is the first, byte for byte, except that it says so. Meanwhile the order has moved on.
CREATE TEMP TABLE call (name text PRIMARY KEY, state text, statement text);
INSERT INTO call VALUES
    ('create_order', NULL, $$oms.create_order('customer-é', 'EUR', '[{"sku": "a", "qty": 3, "price_minor": 7}]', 'twice-create', 'ref', '{"a": 1}')$$),
    ('create_orders', NULL, $$oms.create_orders('[{"customer_id": "c", "currency": "EUR", "idempotency_key": "twice-batch", "items": [{"sku": "a", "qty": 1, "price_minor": 1}]}]')$$),
    ('advance_order', 'pending', $$oms.advance_order(%L, 'reserve', 'twice-advance', 0, 'because', '{"a": 1}')$$),
    ('cancel_order', 'paid', $$oms.cancel_order(%L, 'because', 'twice-cancel')$$),
    ('ship_order', 'confirmed', $$oms.ship_order(%L, 'twice-ship')$$),
    ('complete_order', 'shipped', $$oms.complete_order(%L, 'twice-complete')$$),
    ('refund_order', 'paid', $$oms.refund_order(%L, 100, 'because', 'twice-refund')$$),
    ('hold_order', 'paid', $$oms.hold_order(%L, 'because', 'twice-hold')$$),
    ('release_hold', 'held', $$oms.release_hold(%L, 'twice-release')$$),
    ('amend_order', 'pending', $$oms.amend_order(%L, '[{"sku": "b", "qty": 1, "price_minor": 1}]', 'twice-amend')$$),
    ('reserve', 'pending', $$oms.reserve(%L, 'twice-reserve', interval '1 hour')$$),
    ('release', 'goods held', $$oms.release(%L, 'because', 'twice-release-goods')$$),
    ('pay_order', 'pending', $$oms.pay_order(%L, 'twice-pay')$$),
    ('force_order', 'paid', $$oms.force_order(%L, 'shipped', 'because', 'ann', 'twice-force')$$);
SELECT test.nothing($$SELECT function FROM oms.api JOIN pg_proc p ON p.oid = to_regprocedure('oms.' || function)
    WHERE p.prorettype = 'oms.order_state'::regtype AND p.proname NOT IN (SELECT name FROM call)$$, 'every order command is in this test');
SELECT count(oms.set_stock(sku, 100, test.key())) FROM unnest('{SKU-1,SKU-2}'::text[]) sku;
CREATE TEMP TABLE twice (name text, nth int, answer oms.order_state, events bigint);
DO $$
DECLARE
    c call;
    id uuid;
    answer oms.order_state;
BEGIN
    FOR c IN SELECT * FROM call LOOP
        IF c.state IS NOT NULL THEN
            id := test.make_order(CASE c.state WHEN 'held' THEN 'paid' WHEN 'goods held' THEN 'pending' ELSE c.state END);
            IF c.state = 'held' THEN PERFORM oms.hold_order(id, 'x', test.key()); END IF;
            IF c.state = 'goods held' THEN PERFORM oms.reserve(id, test.key()); END IF;
        END IF;
        FOR nth IN 1..2 LOOP
            PERFORM set_config('oms.now_override', (timestamptz '2026-03-01 10:00:00+00' + nextval('clock') * interval '1 us')::text, false);
            EXECUTE 'SELECT * FROM ' || format(c.statement, id) INTO answer;
            INSERT INTO twice SELECT c.name, nth, answer, count(*) FROM oms.event WHERE aggregate_id = (answer).order_id::text;
            -- An order that its saga has can be canceled alone.
            IF c.name <> 'pay_order' THEN
                PERFORM oms.force_order((answer).order_id, 'completed', 'moves on', 'ann', test.key());
            ELSIF nth = 1 THEN
                PERFORM oms.cancel_order((answer).order_id, 'moves on', test.key());
            END IF;
        END LOOP;
    END LOOP;
END $$;
SELECT test.equal(count(*), 14::bigint, 'every command was called twice') FROM twice WHERE nth = 2;
SELECT test.nothing($$SELECT * FROM twice WHERE (answer).replayed <> (nth = 2)$$, 'the second answer says that it is one');
SELECT test.nothing($$SELECT a.name FROM twice a JOIN twice b USING (name) WHERE a.nth = 1 AND b.nth = 2
    AND record_send(ROW((a.answer).order_id, (a.answer).status, (a.answer).version, (a.answer).customer_id, (a.answer).currency, (a.answer).total_minor, (a.answer).paid_minor,
        (a.answer).refunded_minor, (a.answer).on_hold, (a.answer).pending_action, (a.answer).created_at, (a.answer).updated_at))
     <> record_send(ROW((b.answer).order_id, (b.answer).status, (b.answer).version, (b.answer).customer_id, (b.answer).currency, (b.answer).total_minor, (b.answer).paid_minor,
        (b.answer).refunded_minor, (b.answer).on_hold, (b.answer).pending_action, (b.answer).created_at, (b.answer).updated_at))$$, 'and is the first, byte for byte');
SELECT test.nothing($$SELECT * FROM twice a JOIN twice b USING (name) WHERE a.nth = 1 AND b.nth = 2 AND name <> 'pay_order' AND b.events <> a.events + 1$$, 'nothing happened but what was done in between');
RESET oms.now_override;

-- Another request under the key: another argument, another order, another command. What the caller wrote differently and means the same is the same.
SELECT test.make_order() AS a, test.make_order() AS b \gset
SELECT status, replayed FROM oms.advance_order(:'a', 'reserve', 'one', payload => '{"x": 1, "y": [1, 2]}');
SELECT status, replayed FROM oms.advance_order(:'a', 'reserve', 'one', payload => '{"y":[1,2],   "x":1, "x": 1}');
SELECT status, replayed FROM oms.advance_order(:'a', 'reserve', 'one', expected_version => 17, payload => '{"x": 1, "y": [1, 2]}');
SELECT test.fails(format(call, :'a', :'b'), 'OM008', what) FROM (VALUES
    ($$SELECT oms.advance_order(%1$L, 'reserve', 'one', payload => '{"x": 1, "y": [2, 1]}')$$, 'another payload'),
    ($$SELECT oms.advance_order(%1$L, 'reserve', 'one')$$, 'no payload'),
    ($$SELECT oms.advance_order(%1$L, 'reserve', 'one', reason => '', payload => '{"x": 1, "y": [1, 2]}')$$, 'an empty reason instead of none'),
    ($$SELECT oms.advance_order(%1$L, 'pay', 'one', payload => '{"x": 1, "y": [1, 2]}')$$, 'another action'),
    ($$SELECT oms.advance_order(%2$L, 'reserve', 'one', payload => '{"x": 1, "y": [1, 2]}')$$, 'another order'),
    ($$SELECT oms.hold_order(%1$L, 'reserve', 'one')$$, 'another command')) v(call, what);
SELECT o.detail FROM test.outcome(format($$SELECT oms.hold_order(%L, 'x', 'one')$$, :'a')) o;
SELECT o.detail FROM test.outcome(format($$SELECT oms.advance_order(%L, 'pay', 'one')$$, :'a')) o;
-- A named form and the primitive are one command, where the named form does nothing else.
SELECT test.make_order('confirmed') AS s \gset
SELECT status, replayed FROM oms.ship_order(:'s', 'same');
SELECT status, replayed FROM oms.advance_order(:'s', 'ship', 'same');
SELECT status, replayed FROM oms.cancel_order(:'b', 'why', 'same-cancel');
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'cancel', 'same-cancel', reason => 'why')$$, :'b'), 'OM008', 'cancel_order may do more than the transition');

-- Keys are compared byte by byte, and have 1 to 255 bytes.
SELECT order_id IS NOT NULL AS made, replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'Key');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'key');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'key ');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', E'k\u00e9y');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', E'ke\u0301y');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', repeat('x', 255));
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', repeat('x', 255));
SELECT test.fails(format($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', %L)$$, key), state, what) FROM (VALUES
    (NULL, 'OM007', 'no key'), ('', 'OM007', 'an empty key'), (repeat('x', 256), 'OM001', 'a key of 256 bytes'),
    (repeat('x', 10000), 'OM001', 'a key of 10,000 bytes'), (repeat('é', 128), 'OM001', 'a key of 128 characters and 256 bytes')) v(key, state, what);
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]')$$, 'OM007', 'the key left out');

-- In one transaction: the second call is a replay, and sees nothing of the first when that was rolled back to a savepoint.
BEGIN;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'tx-1');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'tx-1');
SAVEPOINT one;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'tx-2');
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 2}]', 'tx-2')$$, 'OM008', 'another request in the same transaction');
ROLLBACK TO one;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 2}]', 'tx-2');
COMMIT;
SELECT replayed, total_minor FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 2}]', 'tx-2');
-- In one statement.
SELECT count(DISTINCT order_id), count(*) FILTER (WHERE NOT replayed) AS done
FROM generate_series(1, 5), LATERAL oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'statement');
-- A rollback leaves nothing; a command that failed leaves its key free.
BEGIN;
SELECT replayed FROM oms.create_order('rolled back', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'tx-3');
ROLLBACK;
SELECT count(*) FROM oms.idempotency_key WHERE key = 'tx-3';
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[]', 'tx-3')$$, 'OM001', 'a wrong request');
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'tx-3');

-- The TTL: at its last microsecond the answer is still there, one later the key is new.
SET oms.idempotency_ttl = '60s';
SET oms.now_override = '2026-03-02 10:00:00+00';
SELECT replayed FROM oms.create_order('ttl', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'ttl');
SET oms.now_override = '2026-03-02 10:00:59.999999+00';
SELECT replayed FROM oms.create_order('ttl', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'ttl');
SET oms.now_override = '2026-03-02 10:01:00+00';
SELECT replayed FROM oms.create_order('ttl', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 2}]', 'ttl');
SELECT replayed FROM oms.create_order('ttl', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 2}]', 'ttl');
SELECT count(*) FROM oms.idempotency_key WHERE key = 'ttl';
SET oms.idempotency_ttl = '1d';
SELECT count(*) FROM oms.orders WHERE customer_id = 'ttl';

-- Purge takes what is expired, in batches, and nothing else.
SET oms.now_override = '2026-03-04 10:00:00+00';
SELECT count(*) FROM generate_series(1, 1200) i, LATERAL oms.create_order('purge', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'purge-' || i);
SET oms.now_override = '2026-03-05 09:59:59+00';
CREATE TEMP TABLE live AS SELECT count(*) AS keys FROM oms.idempotency_key WHERE created_at > '2026-03-04 09:59:59+00';
SELECT test.ok(oms.purge_idempotency(100000) >= 0, 'older keys are purged first');
SELECT test.equal((SELECT count(*) FROM oms.idempotency_key), keys, 'keys within the TTL stay') FROM live;
SET oms.now_override = '2026-03-05 10:00:00+00';
SELECT oms.purge_idempotency(500);
SELECT oms.purge_idempotency();
SELECT oms.purge_idempotency(NULL);
SELECT oms.purge_idempotency(1);
SELECT test.fails('SELECT oms.purge_idempotency(' || batch || ')', 'OM001', 'a batch of ' || batch) FROM unnest('{0, -1, 100001}'::int[]) batch;
SELECT replayed FROM oms.create_order('purge', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'purge-1');
RESET oms.now_override;
RESET oms.idempotency_ttl;

-- 20,000 commands in one transaction hold no lock on their keys, and do not fill the server's lock table.
BEGIN;
SELECT count(DISTINCT order_id) FROM generate_series(1, 10000) i, LATERAL oms.create_order('many', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'many-' || i);
SELECT test.make_order() AS m \gset
SELECT count(*) FROM generate_series(1, 5000) i, LATERAL oms.hold_order(:'m', 'x', 'hold-' || i) h, LATERAL oms.release_hold(h.order_id, 'release-' || i) r;
SELECT test.equal(count(*), 0::bigint, 'no lock on a name is left') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT test.ok(count(*) < 50, 'and few on tables') FROM pg_locks WHERE pid = pg_backend_pid();
COMMIT;
SELECT version, last_seq FROM oms.orders WHERE order_id = :'m';
SELECT bool_and(replayed) FROM generate_series(1, 10000) i, LATERAL oms.create_order('many', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'many-' || i);
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
