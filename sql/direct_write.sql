-- Goal: what an owner adds to our tables works as on tables that SQL writes: triggers for rows and for statements, columns, constraints, indexes.
-- Method: an order is created and moved behind each addition, in the session that has cached what the tables look like; and what came of it is asked.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
CREATE TABLE public.fired (what text);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.fired VALUES (concat_ws(' ', tg_when, tg_op, tg_level, 'on', CASE tg_level WHEN 'ROW' THEN 'a partition of ' END || tg_argv[0]));
    RETURN new;
END $$;
CREATE FUNCTION public.fired() RETURNS SETOF text LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM public.fired RETURNING what) SELECT what || ': ' || count(*) FROM gone GROUP BY what ORDER BY what $$;
CREATE FUNCTION public.exercise() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid := (oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 100}, {"sku": "b", "qty": 1, "price_minor": 50}]', test.key())).order_id;
BEGIN
    RETURN (oms.advance_order(id, 'reserve', test.key())).status;
END $$;
SELECT public.exercise();

-- Triggers of every kind.
CREATE TRIGGER r1 BEFORE INSERT OR UPDATE ON oms.orders FOR EACH ROW EXECUTE FUNCTION public.note('orders');
CREATE TRIGGER r2 AFTER INSERT OR UPDATE ON oms.orders FOR EACH ROW EXECUTE FUNCTION public.note('orders');
SELECT public.exercise();
SELECT public.fired();
DROP TRIGGER r1 ON oms.orders;
DROP TRIGGER r2 ON oms.orders;
CREATE TRIGGER s1 BEFORE INSERT OR UPDATE ON oms.orders FOR EACH STATEMENT EXECUTE FUNCTION public.note('orders');
CREATE TRIGGER s2 AFTER INSERT OR UPDATE ON oms.orders FOR EACH STATEMENT EXECUTE FUNCTION public.note('orders');
CREATE TRIGGER s3 AFTER INSERT ON oms.order_item FOR EACH STATEMENT EXECUTE FUNCTION public.note('order_item');
CREATE TRIGGER s4 AFTER INSERT ON oms.event FOR EACH STATEMENT EXECUTE FUNCTION public.note('event');
CREATE TRIGGER s5 AFTER INSERT ON oms.idempotency_key FOR EACH STATEMENT EXECUTE FUNCTION public.note('idempotency_key');
SELECT public.exercise();
SELECT public.fired();
DROP TRIGGER s1 ON oms.orders;
DROP TRIGGER s2 ON oms.orders;
DROP TRIGGER s3 ON oms.order_item;
DROP TRIGGER s4 ON oms.event;
DROP TRIGGER s5 ON oms.idempotency_key;
SELECT public.exercise();
SELECT public.fired();

-- A column with a default, which updates of ours leave alone.
ALTER TABLE oms.orders ADD COLUMN channel text DEFAULT 'web';
SELECT public.exercise();
UPDATE oms.orders SET channel = 'phone' WHERE channel = 'web' AND order_id = (SELECT max(order_id::text)::uuid FROM oms.orders);
SELECT (oms.hold_order(order_id, 'x', test.key())).on_hold FROM oms.orders WHERE channel = 'phone';
SELECT channel, on_hold FROM oms.orders WHERE channel = 'phone';
ALTER TABLE oms.orders DROP COLUMN channel;
SELECT public.exercise();

-- Constraints of his own are kept, ours too when they are the ones to be broken.
ALTER TABLE oms.orders ADD CONSTRAINT small CHECK (total_minor < 200) NOT VALID;
SELECT test.fails('SELECT public.exercise()', '23514', 'a constraint on an order');
ALTER TABLE oms.orders DROP CONSTRAINT small;

-- Indexes of every kind find what was written behind them.
CREATE INDEX by_status ON oms.orders (status);
CREATE INDEX by_expression ON oms.orders ((total_minor / 10));
CREATE INDEX by_part ON oms.orders (customer_id) WHERE status = 'reserved';
SELECT public.exercise();
SET enable_seqscan = off;
SELECT count(*) FROM oms.orders WHERE status = 'reserved' AND customer_id = 'direct';
SELECT count(*) FROM oms.orders WHERE total_minor / 10 = 25;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SELECT count(*) FROM oms.orders WHERE status = 'reserved' AND customer_id = 'direct';
RESET ALL;
DROP INDEX oms.by_status, oms.by_expression, oms.by_part;

-- A transaction remembers where it saw rows last. That is a guess, which SQL, savepoints and whoever moves whole tables prove wrong.
CREATE FUNCTION public.standing(id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, version %s, %s, hold %s', status, version, external_ref, on_hold) FROM oms.orders WHERE order_id = id $$;
BEGIN;
SELECT order_id AS id FROM oms.create_order('guessed', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 100}]', test.key()) \gset
SELECT version FROM oms.hold_order(:'id', 'x', test.key());
SAVEPOINT before;
SELECT version FROM oms.release_hold(:'id', test.key());
SELECT version FROM oms.advance_order(:'id', 'reserve', test.key());
ROLLBACK TO before;
SELECT public.standing(:'id');
SELECT version FROM oms.release_hold(:'id', test.key());
UPDATE oms.orders SET external_ref = 'by hand' WHERE order_id = :'id';
SELECT version FROM oms.advance_order(:'id', 'reserve', test.key());
SELECT public.standing(:'id');
CLUSTER oms.orders_default USING orders_default_pkey;
SELECT version FROM oms.hold_order(:'id', 'y', test.key());
SELECT public.standing(:'id');
SAVEPOINT gone;
DELETE FROM oms.orders WHERE order_id = :'id';
SELECT test.fails(format('SELECT oms.release_hold(%L, test.key())', :'id'), 'OM002', 'an order that was deleted');
ROLLBACK TO gone;
TRUNCATE oms.orders;
SELECT test.fails(format('SELECT oms.release_hold(%L, test.key())', :'id'), 'OM002', 'an order of a table that was emptied');
ROLLBACK TO gone;
SELECT version FROM oms.release_hold(:'id', test.key());
SELECT public.standing(:'id');
COMMIT;
SELECT public.standing(:'id');
DROP FUNCTION public.standing;

-- Tables whose numbers run side by side, many rows of each in one transaction: none is looked for on a page that only another table has.
SELECT on_hand FROM oms.set_stock('beside', 1000, test.key());
SELECT count(oms.pay_order(o.order_id, 'beside-' || n, policy => '{"queue": "beside"}'))
FROM generate_series(1, 1000) n, oms.create_order('beside', 'EUR', '[{"sku": "beside", "qty": 1, "price_minor": 100}]', 'beside-' || n || '/order') o;
SELECT outcome, count(*)
FROM (SELECT array_agg(task_id) AS ids, array_agg(lease_epoch) AS epochs FROM oms.claim_tasks('beside', 1000)) c, oms.complete_tasks(c.ids, c.epochs)
GROUP BY outcome;
SELECT outcome, count(*)
FROM (SELECT array_agg(task_id) AS ids, array_agg(lease_epoch) AS epochs FROM oms.claim_tasks('beside', 1000)) c, oms.complete_tasks(c.ids, c.epochs)
GROUP BY outcome;
SELECT status, count(*) FROM oms.orders WHERE customer_id = 'beside' GROUP BY status;

-- Rows written together that lie in two partitions, whose oids the session's memory of partitions cannot tell apart by their last digits: each index has its own.
DO $$
DECLARE
    last bigint := (SELECT last_value FROM oms.event_id_seq);
    two text[];
BEGIN
    FOR i IN 1 .. 65 LOOP
        EXECUTE format('CREATE TABLE oms.event_twin_%s (LIKE oms.event INCLUDING ALL)', i);
        EXECUTE format('CREATE UNIQUE INDEX ON oms.event_twin_%s (aggregate_id, seq, aggregate_type)', i);
    END LOOP;
    SELECT array_agg(relname) INTO two
    FROM (SELECT relname, count(*) OVER (PARTITION BY oid::bigint % 64) AS alike, oid::bigint % 64 AS digits FROM pg_class WHERE relname ~ '^event_twin_[0-9]+$' AND relkind = 'r'
          ORDER BY alike DESC, digits, oid LIMIT 2) t WHERE alike > 1;
    EXECUTE format('ALTER TABLE oms.event ATTACH PARTITION oms.%I FOR VALUES FROM (%s) TO (%s)', two[1], last + 4, last + 8);
    EXECUTE format('ALTER TABLE oms.event ATTACH PARTITION oms.%I FOR VALUES FROM (%s) TO (%s)', two[2], last + 8, last + 12);
END $$;
SELECT last_id > 0 FROM oms.append_events('twins', 'twins', NULL, (SELECT jsonb_agg(jsonb_build_object('type', 'noted', 'payload', jsonb_build_object('n', n))) FROM generate_series(1, 20) n));
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*), count(DISTINCT tableoid) FROM oms.event WHERE aggregate_id = 'twins';
SELECT count(*) FROM oms.event WHERE id > (SELECT last_value FROM oms.event_id_seq) - 20;
RESET ALL;
DO $$
DECLARE
    twin record;
BEGIN
    FOR twin IN SELECT c.oid::regclass AS name, c.relispartition FROM pg_class c WHERE relname ~ '^event_twin_[0-9]+$' AND relkind = 'r' LOOP
        IF twin.relispartition THEN
            EXECUTE format('ALTER TABLE oms.event DETACH PARTITION %s', twin.name);
            EXECUTE format('INSERT INTO oms.event SELECT * FROM %s', twin.name);
        END IF;
        EXECUTE format('DROP TABLE %s', twin.name);
    END LOOP;
END $$;

-- A table that lost what we write is refused, and the session works on.
ALTER TABLE oms.order_item RENAME COLUMN details TO extras;
SELECT test.fails('SELECT public.exercise()', 'OM026', 'a column that was renamed');
ALTER TABLE oms.order_item RENAME COLUMN extras TO details;
SELECT public.exercise();
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
DROP FUNCTION public.exercise, public.fired, public.note;
DROP TABLE public.fired;
