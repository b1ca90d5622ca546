-- Goal: what an owner adds to our tables cannot be told from how it works on tables that SQL writes: triggers of every kind, columns, constraints,
-- foreign keys, indexes of every kind; and maintenance in between disturbs nothing.
-- Method: one exercise that inserts into and updates every table that is written directly, run behind each addition; indexes are proven whole by
-- amcheck, and by comparing what they find with what a sequential scan finds.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS amcheck;
RESET client_min_messages;

-- Three orders, two of them in one call, one of them brought further; a stream with two appends. Inserts 3 orders, 6 items, 8 events, 6 keys, 1 stream; updates
-- an order 3 times and a stream once. In a call of its own each time, so that what the session has cached is used.
CREATE FUNCTION pg_temp.exercise(reason text DEFAULT 'x') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
    two jsonb := '[{"sku": "a", "qty": 2, "price_minor": 100}, {"sku": "b", "qty": 1, "price_minor": 50}]';
BEGIN
    SELECT order_id INTO id FROM oms.create_order('direct', 'EUR', two, test.key(), 'ref-' || test.key(), '{"channel": "web"}');
    PERFORM oms.create_orders((SELECT jsonb_agg(jsonb_build_object('customer_id', 'direct-' || i, 'currency', 'EUR', 'items', two, 'idempotency_key', test.key())) FROM generate_series(1, 2) i));
    PERFORM oms.advance_order(id, 'reserve', test.key());
    PERFORM oms.hold_order(id, reason, test.key());
    PERFORM oms.release_hold(id, test.key());
    PERFORM oms.append_events('direct', id::text, v, '[{"type": "t", "payload": {}}]') FROM generate_series(0, 1) v;
    RETURN id;
END $$;
CREATE FUNCTION pg_temp.counts() RETURNS text LANGUAGE sql AS $$
    SELECT format('%s orders, %s items, %s events, %s keys, %s streams', (SELECT count(*) FROM oms.orders), (SELECT count(*) FROM oms.order_item),
        (SELECT count(*) FROM oms.event), (SELECT count(*) FROM oms.idempotency_key), (SELECT count(*) FROM oms.stream)) $$;
-- Every btree of ours holds exactly what its table holds.
CREATE FUNCTION pg_temp.indexes_are_whole(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    WHERE t.relnamespace = 'oms'::regnamespace AND c.relkind = 'i' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND i.indisvalid;
    RETURN test.nothing('SELECT * FROM oms.check_integrity()', 'indexes and integrity: ' || what);
END $$;
SELECT pg_temp.exercise() IS NOT NULL;

-- Triggers: each kind on each table.
CREATE TABLE public.fired (table_name text, kind text, rows int);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.fired VALUES (regexp_replace(TG_TABLE_NAME, '_default$', ''), concat_ws(' ', TG_WHEN, TG_OP, TG_LEVEL, TG_ARGV[0]), 1);
    IF TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION public.note_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.fired SELECT regexp_replace(TG_TABLE_NAME, '_default$', ''), concat_ws(' ', TG_WHEN, TG_OP, 'TABLE'), count(*) FROM new_rows;
    RETURN NULL;
END $$;
CREATE TEMP TABLE kind (op text, timing text, level text);
INSERT INTO kind SELECT op, timing, level FROM unnest('{INSERT, UPDATE}'::text[]) op, unnest('{BEFORE, AFTER}'::text[]) timing, unnest('{ROW, STATEMENT}'::text[]) level;
CREATE TEMP TABLE target (name text, inserted int, updated int);
INSERT INTO target VALUES ('orders', 3, 3), ('order_item', 6, 0), ('event', 8, 0), ('idempotency_key', 6, 0), ('stream', 1, 1);

DO $$
DECLARE
    t target;
    k kind;
BEGIN
    FOR t IN SELECT * FROM target LOOP
        FOR k IN SELECT * FROM kind LOOP
            -- One trigger at a time: with several, one that makes the table be written by SQL would hide that another does not.
            EXECUTE format('CREATE TRIGGER note %s %s ON oms.%I FOR EACH %s EXECUTE FUNCTION public.note()', k.timing, k.op, t.name, k.level);
            PERFORM pg_temp.exercise();
            EXECUTE format('DROP TRIGGER note ON oms.%I', t.name);
        END LOOP;
        EXECUTE format('CREATE TRIGGER note AFTER INSERT ON oms.%I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.note_rows()', t.name);
        PERFORM pg_temp.exercise();
        EXECUTE format('DROP TRIGGER note ON oms.%I', t.name);
        EXECUTE format('CREATE TRIGGER note AFTER UPDATE ON oms.%I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.note_rows()', t.name);
        PERFORM pg_temp.exercise();
        EXECUTE format('DROP TRIGGER note ON oms.%I', t.name);
        EXECUTE format('CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON oms.%I DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note(''deferred'')',
            CASE WHEN t.name = 'stream' THEN t.name ELSE t.name || '_default' END);
        PERFORM pg_temp.exercise();
        SET CONSTRAINTS ALL IMMEDIATE;
        EXECUTE format('DROP TRIGGER note ON oms.%I', CASE WHEN t.name = 'stream' THEN t.name ELSE t.name || '_default' END);
    END LOOP;
END $$;
SELECT test.nothing($$SELECT t.name, k.timing, k.op, CASE k.op WHEN 'INSERT' THEN t.inserted ELSE t.updated END AS wanted, count(f) AS found FROM target t, kind k
    LEFT JOIN public.fired f ON f.table_name = t.name AND f.kind = concat_ws(' ', k.timing, k.op, k.level) WHERE k.level = 'ROW' GROUP BY 1, 2, 3, 4
    HAVING count(f) <> CASE k.op WHEN 'INSERT' THEN t.inserted ELSE t.updated END$$, 'a trigger for rows fires for each row')
FROM (SELECT 1) one WHERE false;
SELECT table_name, kind, count(*), sum(rows) FROM public.fired WHERE kind LIKE '% ROW' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT table_name, kind, count(*) FROM public.fired WHERE kind LIKE '%deferred' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT test.equal(array_agg(DISTINCT table_name || ' ' || kind ORDER BY table_name || ' ' || kind), ARRAY(SELECT concat_ws(' ', name, timing, op, 'STATEMENT') FROM target, kind WHERE level = 'STATEMENT'
    AND (op = 'INSERT' OR updated > 0) ORDER BY 1), 'a trigger for statements fires') FROM public.fired WHERE kind LIKE '% STATEMENT';
SELECT table_name, kind, sum(rows) FROM public.fired WHERE kind LIKE '% TABLE' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT pg_temp.indexes_are_whole('after triggers');

-- A trigger may change the row, and may refuse it; what it refuses is refused as a whole.
CREATE FUNCTION public.change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.metadata := coalesce(NEW.metadata, '{}') || jsonb_build_object(lower(TG_OP), NEW.status); RETURN NEW; END $$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON oms.orders FOR EACH ROW EXECUTE FUNCTION public.change();
SELECT pg_temp.exercise() AS changed \gset
SELECT metadata FROM oms.orders WHERE order_id = :'changed';
DROP TRIGGER change ON oms.orders;
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'ZZ001'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON oms.event FOR EACH ROW WHEN (NEW.type = 'order.reserved') EXECUTE FUNCTION public.refuse();
SELECT pg_temp.counts() AS counts \gset
SELECT test.fails('SELECT pg_temp.exercise()', 'ZZ001', 'a trigger refuses an event');
SELECT test.equal(pg_temp.counts(), :'counts', 'nothing is left of it');
DROP TRIGGER refuse ON oms.event;
-- A trigger that swallows the row instead would leave an event without its order: the command fails.
CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
DO $$
DECLARE
    t target;
    op text;
BEGIN
    FOR t, op IN SELECT target, o FROM target, unnest('{INSERT, UPDATE}'::text[]) o WHERE o = 'INSERT' OR updated > 0 LOOP
        EXECUTE format('CREATE TRIGGER swallow BEFORE %s ON oms.%I FOR EACH ROW EXECUTE FUNCTION public.swallow()', op, t.name);
        PERFORM test.ok((test.outcome('SELECT pg_temp.exercise()')).state <> '00000', format('a swallowed %s on %s is an error', op, t.name));
        EXECUTE format('DROP TRIGGER swallow ON oms.%I', t.name);
    END LOOP;
END $$;
SELECT test.equal(pg_temp.counts(), :'counts', 'nothing is left of these either');
-- A trigger that is disabled, or for replicas only, does not fire.
TRUNCATE public.fired;
CREATE TRIGGER note AFTER INSERT ON oms.orders_default FOR EACH ROW EXECUTE FUNCTION public.note();
ALTER TABLE oms.orders_default DISABLE TRIGGER note;
SELECT pg_temp.exercise() IS NOT NULL;
ALTER TABLE oms.orders_default ENABLE REPLICA TRIGGER note;
SELECT pg_temp.exercise() IS NOT NULL;
SELECT count(*) FROM public.fired;
ALTER TABLE oms.orders_default ENABLE ALWAYS TRIGGER note;
SELECT pg_temp.exercise() IS NOT NULL;
SELECT count(*) FROM public.fired;
DROP TRIGGER note ON oms.orders_default;
-- A trigger that calls a command of ours, on the same order and on another.
CREATE FUNCTION public.follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM oms.append_events('followed', NEW.order_id::text, NULL, '[{"type": "t", "payload": {}}]');
    IF NEW.status = 'reserved' AND NOT NEW.on_hold AND OLD.status = 'pending' THEN PERFORM oms.hold_order(NEW.order_id, 'trigger', 'trigger-' || NEW.order_id); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER UPDATE ON oms.orders FOR EACH ROW EXECUTE FUNCTION public.follow();
SELECT test.make_order() AS followed \gset
SELECT status, on_hold, version FROM test.advance(:'followed', 'reserve');
SELECT on_hold, version, hold_reason FROM oms.orders WHERE order_id = :'followed';
SELECT count(*) FROM oms.read_stream('followed', :'followed');
DROP TRIGGER follow ON oms.orders;
SELECT pg_temp.indexes_are_whole('after triggers that change and follow');

-- Columns of the owner's: defaults count, updates keep them, generated ones follow.
ALTER TABLE oms.orders ADD region text NOT NULL DEFAULT 'eu', ADD doubled bigint GENERATED ALWAYS AS (total_minor * 2) STORED;
ALTER TABLE oms.event ADD note text;
ALTER TABLE oms.order_item ADD weight int DEFAULT 7;
SELECT pg_temp.exercise() AS wide \gset
SELECT region, doubled, status, version FROM oms.orders WHERE order_id = :'wide';
UPDATE oms.orders SET region = 'us' WHERE order_id = :'wide';
SELECT status FROM test.advance(:'wide', 'pay');
SELECT region, doubled, status FROM oms.orders WHERE order_id = :'wide';
SELECT array_agg(DISTINCT weight) FROM oms.order_item WHERE order_id = :'wide';
ALTER TABLE oms.orders DROP region, DROP doubled;
ALTER TABLE oms.event DROP note;
ALTER TABLE oms.order_item DROP weight;
SELECT status FROM test.advance(:'wide', 'confirm');
SELECT pg_temp.exercise() IS NOT NULL;
SELECT pg_temp.indexes_are_whole('after columns came and went');

-- Constraints of the owner's are enforced, also those that are not validated; and they go.
ALTER TABLE oms.orders ADD CONSTRAINT not_held CHECK (hold_reason <> 'forbidden'), ADD CONSTRAINT known CHECK (customer_id <> 'stranger') NOT VALID;
ALTER TABLE oms.order_item ADD CONSTRAINT few CHECK (qty < 1000);
ALTER TABLE oms.event ADD CONSTRAINT told CHECK (type <> 'order.canceled');
SELECT test.fails($$SELECT pg_temp.exercise('forbidden')$$, '23514', 'a constraint on an update of an order');
SELECT test.fails($$SELECT oms.create_order('stranger', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key())$$, '23514', 'a constraint on a new order');
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1000, "price_minor": 1}]', test.key())$$, '23514', 'a constraint on an item');
SELECT test.fails(format($$SELECT oms.cancel_order(%L, 'x', test.key())$$, test.make_order()), '23514', 'a constraint on an event');
ALTER TABLE oms.orders DROP CONSTRAINT not_held, DROP CONSTRAINT known;
ALTER TABLE oms.order_item DROP CONSTRAINT few;
ALTER TABLE oms.event DROP CONSTRAINT told;
SELECT pg_temp.exercise('forbidden') IS NOT NULL;

-- Foreign keys: to orders from the owner's table, and from ours to his.
CREATE TABLE public.parcel (order_id uuid, created_at timestamptz, FOREIGN KEY (order_id, created_at) REFERENCES oms.orders (order_id, created_at));
SELECT pg_temp.exercise() AS parent \gset
INSERT INTO public.parcel SELECT order_id, created_at FROM oms.orders WHERE order_id = :'parent';
SELECT status FROM test.advance(:'parent', 'pay');
SELECT test.fails(format('DELETE FROM oms.orders WHERE order_id = %L', :'parent'), '23503', 'an order with a parcel');
SELECT test.fails($$INSERT INTO public.parcel VALUES ('01890000-0000-7000-8000-000000000000', now())$$, '23503', 'a parcel without an order');
DROP TABLE public.parcel;
CREATE TABLE public.customer (customer_id text COLLATE "C" PRIMARY KEY);
INSERT INTO public.customer SELECT DISTINCT customer_id FROM oms.orders;
ALTER TABLE oms.orders ADD CONSTRAINT customer FOREIGN KEY (customer_id) REFERENCES public.customer;
SELECT test.fails($$SELECT oms.create_order('unheard of', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key())$$, '23503', 'a customer who does not exist');
SELECT pg_temp.exercise() IS NOT NULL;
ALTER TABLE oms.orders DROP CONSTRAINT customer;
DROP TABLE public.customer;
SELECT pg_temp.indexes_are_whole('after foreign keys');

-- Indexes of every kind; first some alone, so that they are fed directly, then all together.
CREATE INDEX mine_plain ON oms.orders (currency, total_minor DESC NULLS LAST) INCLUDE (version);
CREATE INDEX mine_text ON oms.order_item (sku text_pattern_ops);
SELECT pg_temp.exercise() IS NOT NULL;
SELECT pg_temp.indexes_are_whole('with plain indexes');
CREATE INDEX mine_status ON oms.orders (status, updated_at);
CREATE INDEX mine_expression ON oms.orders ((metadata ->> 'channel'));
CREATE INDEX mine_partial ON oms.orders (updated_at) WHERE status = 'reserved';
CREATE INDEX mine_gin ON oms.orders USING gin (metadata);
CREATE INDEX mine_hash ON oms.orders USING hash (customer_id);
CREATE INDEX mine_brin ON oms.event USING brin (occurred_at);
CREATE INDEX mine_events ON oms.event (type, occurred_at);
CREATE UNIQUE INDEX mine_unique ON oms.orders_default (external_ref) WHERE status <> 'canceled';
CREATE INDEX mine_key ON oms.idempotency_key (operation, created_at);
CREATE INDEX mine_wide ON oms.orders (customer_id, currency, status, version, total_minor);
SELECT pg_temp.exercise() AS found \gset
SELECT pg_temp.indexes_are_whole('with indexes of every kind');
SELECT status FROM test.advance(:'found', 'pay');
CREATE FUNCTION pg_temp.found(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    by_index bigint;
    by_scan bigint;
    used text := 'no index';
    line text;
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT count(*) FROM ' || condition LOOP
        IF line ~ 'Index' THEN used := 'an index'; END IF;
    END LOOP;
    EXECUTE 'SELECT count(*) FROM ' || condition INTO by_index;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_indexonlyscan', 'off', true);
    EXECUTE 'SELECT count(*) FROM ' || condition INTO by_scan;
    PERFORM set_config(name, 'on', true) FROM unnest('{enable_indexscan, enable_bitmapscan, enable_indexonlyscan}'::text[]) name;
    PERFORM test.ok(by_scan > 0, condition);
    RETURN test.equal(used || ' ' || by_index, 'an index ' || by_scan, condition);
END $$;
SELECT pg_temp.found(condition) FROM unnest(ARRAY[
    'oms.orders WHERE currency = ''EUR'' AND total_minor = 250', 'oms.order_item WHERE sku LIKE ''a%''', 'oms.orders WHERE status = ''reserved''', 'oms.orders WHERE metadata ->> ''channel'' = ''web''',
    'oms.orders WHERE status = ''reserved'' AND updated_at > ''2000-01-01''', 'oms.orders WHERE metadata @> ''{"channel": "web"}''', 'oms.orders WHERE customer_id = ''direct-1''',
    'oms.event WHERE type = ''order.held''', 'oms.idempotency_key WHERE operation = ''create_order''', 'oms.orders WHERE customer_id = ''direct'' AND currency = ''EUR'' AND status = ''paid''']) condition;
-- A unique index of the owner's refuses the second; its command leaves nothing; a canceled order makes room.
SELECT order_id AS first FROM oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 'the one') \gset
SELECT pg_temp.counts() AS counts \gset
SELECT test.fails($$SELECT oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 'the one')$$, '23505', 'a second order with a unique reference');
SELECT test.equal(pg_temp.counts(), :'counts', 'it leaves nothing');
SELECT status FROM oms.cancel_order(:'first', 'x', test.key());
SELECT status FROM oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 'the one');
DROP INDEX oms.mine_status, oms.mine_expression, oms.mine_partial, oms.mine_gin, oms.mine_hash, oms.mine_brin, oms.mine_events, oms.mine_unique, oms.mine_key, oms.mine_wide, oms.mine_plain, oms.mine_text;
-- A plain unique index is fed directly and refuses as well.
CREATE UNIQUE INDEX mine_unique ON oms.orders_default (external_ref) INCLUDE (customer_id) WHERE status <> 'canceled';
DROP INDEX oms.mine_unique;
UPDATE oms.orders SET external_ref = order_id;
CREATE UNIQUE INDEX mine_unique ON oms.orders_default (external_ref);
SELECT status FROM oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 'the only one');
SELECT test.fails($$SELECT oms.create_order('direct', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key(), 'the only one')$$, '23505', 'a plain unique index');
DROP INDEX oms.mine_unique;
SELECT pg_temp.indexes_are_whole('after indexes');

-- Maintenance in between, in the session that works.
SELECT test.make_order('reserved') AS lives \gset
VACUUM oms.orders, oms.event, oms.order_item, oms.idempotency_key, oms.stream;
SELECT status FROM test.advance(:'lives', 'pay');
VACUUM FULL oms.orders;
SELECT status FROM test.advance(:'lives', 'confirm');
REINDEX TABLE oms.orders;
REINDEX TABLE oms.event;
SELECT status FROM test.advance(:'lives', 'ship');
REINDEX TABLE CONCURRENTLY oms.orders;
REINDEX TABLE CONCURRENTLY oms.idempotency_key;
SELECT status FROM test.advance(:'lives', 'complete');
CLUSTER oms.orders_default USING orders_default_pkey;
ALTER TABLE oms.orders_default SET UNLOGGED;
SELECT status FROM test.advance(:'lives', 'refund');
ALTER TABLE oms.orders_default SET LOGGED;
CREATE INDEX CONCURRENTLY mine ON oms.orders_default (version);
SELECT pg_temp.exercise() IS NOT NULL;
DROP INDEX CONCURRENTLY oms.mine;
ANALYZE oms.orders;
SELECT pg_temp.exercise() IS NOT NULL;
BEGIN;
SELECT pg_temp.exercise() IS NOT NULL;
CREATE INDEX mine ON oms.orders (version);
SELECT pg_temp.exercise() IS NOT NULL;
SAVEPOINT one;
DROP INDEX oms.mine;
SELECT pg_temp.exercise() IS NOT NULL;
ROLLBACK TO one;
SELECT pg_temp.exercise() IS NOT NULL;
SELECT pg_temp.indexes_are_whole('inside a transaction that changes indexes');
ROLLBACK;
SELECT pg_temp.exercise() IS NOT NULL;
SELECT pg_temp.indexes_are_whole('after maintenance');
DROP TABLE public.fired;
DROP FUNCTION public.note, public.note_rows, public.change, public.refuse, public.swallow, public.follow;
