-- Goal: an order's row is updated in place: each new version lies on the page of the old one and no index learns of it (HOT), whatever the command.
-- Method: two thousand orders go through their lives in turn, one command a transaction; the server's own counters tell how many
-- updates there were and how many of them were HOT. Before, the room that is left on the pages; after, the columns of the indexes.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET synchronous_commit = off;

-- A snapshot of somebody else would keep the old versions on their pages.
ALTER SYSTEM SET autovacuum = off;
SELECT pg_reload_conf();
CREATE PROCEDURE pg_temp.wait_for_quiet() LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '2 minutes';
BEGIN
    WHILE EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_type = 'autovacuum worker')) LOOP
        IF clock_timestamp() > deadline THEN RAISE EXCEPTION 'another session holds a snapshot'; END IF;
        PERFORM pg_sleep(0.02);
        PERFORM pg_stat_clear_snapshot();
        COMMIT;
    END LOOP;
END $$;
CALL pg_temp.wait_for_quiet();

-- Room that a vacuum has found in old pages would be used first.
VACUUM FULL oms.orders_default;

-- The orders: by the thousand and one by one, on fresh pages.
CREATE TEMP TABLE fresh AS SELECT pg_relation_size('oms.orders_default') / current_setting('block_size')::int AS page;
CREATE TEMP TABLE made AS SELECT row_number() OVER () AS nth, order_id FROM oms.create_orders((SELECT jsonb_agg(jsonb_build_object('customer_id', 'customer-' || n % 50, 'currency', 'EUR',
    'idempotency_key', 'hot-' || n, 'items', '[{"sku": "a", "qty": 2, "price_minor": 1000}, {"sku": "b", "qty": 1, "price_minor": 500}]'::jsonb)) FROM generate_series(1, 1000) n));
INSERT INTO made SELECT n, test.make_order() FROM generate_series(1001, 2000) n;

-- Room is left on every page: fillfactor counts for rows that are written directly, in a batch and alone.
CREATE TEMP TABLE page AS SELECT (ctid::text::point)[0]::int AS page, sum(pg_column_size(o.*) + 4) AS bytes FROM oms.orders_default o GROUP BY 1;
SELECT test.equal(reloptions::text, '{fillfactor=80}', 'the default partition has a fillfactor') FROM pg_class WHERE oid = 'oms.orders_default'::regclass;
SELECT test.ok(count(*) > 20, 'the orders fill many pages') FROM page, fresh WHERE page.page > fresh.page;
SELECT test.nothing($$SELECT page.page, bytes FROM page, fresh WHERE page.page > fresh.page AND bytes > 0.8 * current_setting('block_size')::int$$, 'none is filled beyond it');
SELECT test.ok(avg(bytes) > 0.7 * current_setting('block_size')::int, 'nor much less') FROM page, fresh WHERE page.page > fresh.page;

-- Lives: each command for every order before the next one, as it is in a shop.
-- What the session has done and not yet told the statistics, which it does between statements.
CREATE TEMP VIEW counters AS SELECT sum(pg_stat_get_xact_tuples_updated(relid)) AS updated, sum(pg_stat_get_xact_tuples_hot_updated(relid)) AS hot
    FROM pg_partition_tree('oms.orders') WHERE isleaf;
CREATE TEMP TABLE counted (what text, updated bigint, hot bigint);
CREATE PROCEDURE pg_temp.run_all(what text, call text, from_nth int DEFAULT 1, to_nth int DEFAULT 2000) LANGUAGE plpgsql AS $$
DECLARE
    orders uuid[] := ARRAY(SELECT order_id FROM made WHERE nth BETWEEN from_nth AND to_nth ORDER BY nth);
    id uuid;
    before record;
    after record;
BEGIN
    SELECT * INTO before FROM counters;
    COMMIT;
    FOREACH id IN ARRAY orders LOOP
        EXECUTE call USING id;
        COMMIT;
    END LOOP;
    SELECT * INTO after FROM counters;
    INSERT INTO counted VALUES (what, after.updated - before.updated, after.hot - before.hot);
END $$;
CALL pg_temp.run_all('amend', $$SELECT oms.amend_order($1, '[{"sku": "c", "qty": 5, "price_minor": 500}]', test.key(), reason => 'another size')$$);
CALL pg_temp.run_all('hold', $$SELECT oms.hold_order($1, 'the address looks odd', test.key())$$);
CALL pg_temp.run_all('release', $$SELECT oms.release_hold($1, test.key())$$);
CALL pg_temp.run_all('reserve', $$SELECT test.advance($1, 'reserve')$$);
CALL pg_temp.run_all('pay', $$SELECT test.advance($1, 'pay')$$);
CALL pg_temp.run_all('amend a paid one', $$SELECT oms.amend_order($1, '[{"sku": "d", "qty": 1, "price_minor": 2500}]', test.key())$$);
CALL pg_temp.run_all('refund a part', $$SELECT oms.refund_order($1, 100, 'dented', test.key())$$);
CALL pg_temp.run_all('confirm', $$SELECT test.advance($1, 'confirm')$$);
CALL pg_temp.run_all('hold again', $$SELECT oms.hold_order($1, 'the customer called', test.key())$$);
CALL pg_temp.run_all('cancel', $$SELECT oms.cancel_order($1, 'the customer gave up', test.key())$$, 1, 500);
CALL pg_temp.run_all('release again', $$SELECT oms.release_hold($1, test.key())$$, 501, 2000);
CALL pg_temp.run_all('ship', $$SELECT oms.ship_order($1, test.key(), payload => '{"parcel": "1Z"}')$$, 501, 2000);
CALL pg_temp.run_all('complete', $$SELECT oms.complete_order($1, test.key())$$, 501, 2000);
CALL pg_temp.run_all('refund the rest', $$SELECT oms.refund_order($1, reason => 'sent back', idempotency_key => test.key())$$, 501, 1200);
CALL pg_temp.run_all('force', $$SELECT oms.force_order($1, 'completed', 'sent back by mistake', 'ann', test.key())$$, 501, 1000);
-- Several commands in one transaction: all versions are on the page at once.
CALL pg_temp.run_all('hold and release', $$SELECT (oms.hold_order($1, 'x', test.key())).status, (oms.release_hold($1, test.key())).status$$, 1201, 2000);
SELECT what, updated, CASE WHEN hot = updated THEN 'all HOT' ELSE hot || ' HOT' END FROM counted;

-- What a saga moves, in batches: the second versions of a hundred sagas, and of what hangs on them, are on their pages at once.
VACUUM FULL oms.saga, oms.saga_step, oms.payment_default, oms.payment_operation_default, oms.reservation_default;
CREATE TEMP TABLE moved AS SELECT oid AS relid, relname FROM pg_class
    WHERE oid IN ('oms.saga'::regclass, 'oms.saga_step'::regclass, 'oms.payment_default'::regclass, 'oms.payment_operation_default'::regclass,
                  'oms.reservation_default'::regclass);
CREATE TEMP TABLE moved_before AS SELECT relid, 0::bigint AS updated, 0::bigint AS hot FROM moved;
CREATE TEMP TABLE moved_after AS TABLE moved_before;
SELECT on_hand FROM oms.set_stock('hot', 1000, test.key());
SELECT count(oms.pay_order(o.order_id, test.key(), policy => '{"queue": "hot"}'))
FROM generate_series(1, 500) n, oms.create_order('hot-' || n, 'EUR', '[{"sku": "hot", "qty": 2, "price_minor": 100}]', 'hot-whole-' || n) o;
DO $$
BEGIN
    UPDATE moved_before SET updated = pg_stat_get_xact_tuples_updated(relid), hot = pg_stat_get_xact_tuples_hot_updated(relid);
    COMMIT;
    FOR i IN 1 .. 10 LOOP
        PERFORM count(outcome)
        FROM (SELECT array_agg(task_id) AS ids, array_agg(lease_epoch) AS epochs FROM oms.claim_tasks('hot', 100)) c, oms.complete_tasks(c.ids, c.epochs);
        COMMIT;
    END LOOP;
    UPDATE moved_after SET updated = pg_stat_get_xact_tuples_updated(relid), hot = pg_stat_get_xact_tuples_hot_updated(relid);
END $$;
SELECT status, count(*) FROM oms.orders WHERE customer_id LIKE 'hot-%' GROUP BY status;
SELECT relname, a.updated - b.updated, CASE WHEN a.hot - b.hot >= 0.85 * (a.updated - b.updated) THEN 'nearly all HOT' ELSE a.hot - b.hot || ' HOT' END
FROM moved JOIN moved_before b USING (relid) JOIN moved_after a USING (relid) ORDER BY relname;

-- What makes it so.
SELECT test.nothing($$SELECT c.relname, a.attname FROM pg_partition_tree('oms.orders') t JOIN pg_index i ON i.indrelid = t.relid JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = ANY (i.indkey)
    WHERE a.attname NOT IN ('order_id', 'customer_id', 'created_at', 'external_ref', 'currency') OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL$$,
    'no index looks at a column that changes');
SELECT test.nothing($$SELECT * FROM oms.check_integrity()$$, 'integrity');
ALTER SYSTEM RESET autovacuum;
SELECT pg_reload_conf();
