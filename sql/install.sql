-- Goal: what CREATE EXTENSION makes is complete: documented, granted to nobody, known to oms.api, dumped; and it can go and come back.
-- Method: questions to the catalog, each of which a new object that was forgotten somewhere would answer wrongly.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

-- The members of the extension, by their class in the catalog.
CREATE TEMP TABLE member AS
    SELECT d.classid, d.objid
    FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'oms' AND d.deptype = 'e';

SELECT test.equal(extversion, default_version, 'the version installed is the default one')
FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname WHERE extname = 'oms';
SELECT test.equal(oms.version(), (SELECT extversion FROM pg_extension WHERE extname = 'oms'), 'library and script are of one version');
SELECT test.equal(extnamespace::regnamespace::text, 'oms', 'the schema is oms') FROM pg_extension WHERE extname = 'oms';
SELECT test.nothing($$SELECT c.oid::regclass FROM pg_class c LEFT JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v') AND m.objid IS NULL$$,
    'every table, view and sequence of schema oms is a member of the extension');

-- Functions
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    WHERE obj_description(p.oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    WHERE NOT EXISTS (SELECT FROM oms.api a WHERE to_regprocedure('oms.' || a.function) = p.oid)$$, 'every function stands in oms.api');
SELECT test.nothing($$SELECT function FROM oms.api WHERE to_regprocedure('oms.' || function) IS NULL$$, 'oms.api names only what exists');
SELECT test.nothing($$SELECT p.oid::regprocedure, a.grantee FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid,
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0$$, 'PUBLIC may execute nothing');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    WHERE p.proisstrict$$, 'no function is STRICT: a missing argument is an error that names it');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    WHERE p.prosecdef$$, 'no function is SECURITY DEFINER');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname NOT IN ('c') AND p.prosqlbody IS NULL
    AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false)$$, 'functions that are not C pin their search_path');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    JOIN oms.api a ON to_regprocedure('oms.' || a.function) = p.oid
    WHERE a.audience = 'reader' AND p.provolatile = 'v'$$, 'queries are STABLE or IMMUTABLE: they run on a standby');
SELECT test.nothing($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    WHERE p.provolatile = 'v' AND p.proparallel <> 'u'$$, 'what writes never runs in a parallel worker');

-- Tables
SELECT test.nothing($$SELECT c.oid::regclass FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') IS NULL$$, 'every table has a comment');
SELECT test.nothing($$SELECT t.oid::regtype FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
    WHERE t.typrelid <> 0 AND obj_description(t.oid, 'pg_type') IS NULL
    AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')$$, 'every composite type has a comment');
SELECT test.nothing($$SELECT c.oid::regclass FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relkind IN ('r', 'p', 'S') AND c.oid <> 'oms.api'::regclass
    AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'oms')$$,
    'every table and sequence is marked for the dump, except the list of functions');
SELECT test.nothing($$SELECT c.relname FROM pg_class c JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition
    FROM pg_extension WHERE extname = 'oms') d USING (oid) WHERE d.condition <> ''
    AND c.relname NOT IN ('order_status', 'order_transition', 'topic_route', 'topic_policy', 'saga_definition')$$, 'only rules are dumped in part: without the built-in rows');
SELECT test.nothing($$SELECT c.oid::regclass FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relkind = 'p' AND NOT EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = c.oid AND p.partdefid <> 0)$$,
    'every partitioned table has a DEFAULT partition');
SELECT test.nothing($$SELECT c.oid::regclass FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relkind = 'r' AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)$$,
    'every table that is not partitioned has a primary key');
SELECT test.nothing($$SELECT c.oid::regclass, a.grantee::regrole FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid,
    aclexplode(c.relacl) a WHERE a.grantee <> c.relowner$$, 'nobody but the owner has a right on a table or sequence');
SELECT test.equal(seqcache, 1::bigint, 'event ids are drawn one at a time') FROM pg_sequence WHERE seqrelid = 'oms.event_id_seq'::regclass;
SELECT test.nothing($$SELECT attname FROM pg_attribute a JOIN pg_index i ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = 'oms.orders'::regclass AND attname NOT IN ('order_id', 'customer_id', 'created_at')$$,
    'no index of oms.orders has a column that changes in an order''s life');

-- Text is compared byte by byte: a collation of the operating system would change the order of an index with its next update.
SELECT test.nothing($$SELECT a.attrelid::regclass, a.attname FROM pg_index i JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE a.attcollation NOT IN (0, 'pg_catalog."C"'::regcollation)$$, 'every text column in an index has COLLATE "C"');

-- The extension cannot be moved, and its objects cannot be dropped one by one.
SELECT test.fails('ALTER EXTENSION oms SET SCHEMA public', '0A000', 'the schema is fixed');
SELECT test.fails('DROP FUNCTION oms.version()', '2BP01', 'a function of the extension stays');
SELECT test.fails('DROP TABLE oms.orders', '2BP01', 'a table of the extension stays');

-- It can be dropped and made again while a session that used it lives on; a copy of it in a transaction that is rolled back leaves nothing.
BEGIN;
SELECT test.make_order('paid') IS NOT NULL;
SET client_min_messages = warning;
DROP EXTENSION oms CASCADE;
ROLLBACK;
SELECT test.make_order('paid') IS NOT NULL;
SELECT current_database() AS here \gset
CREATE DATABASE oms_regress_install;
\c oms_regress_install
\t on
CREATE EXTENSION oms;
SELECT status, version FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 5}]', 'k');
SELECT version FROM oms.append_events('note', 'n', 0, '[{"type": "note.made", "payload": {}}]');
INSERT INTO oms.order_status (status) VALUES ('picked');
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('pending', 'pick', 'picked', 'order.picked');
SELECT reached FROM oms.list_orders() o, LATERAL oms.advance_order(o.order_id, 'pick', 'p') a(id, reached);
DROP EXTENSION oms;
SELECT count(*) FROM pg_namespace WHERE nspname = 'oms';
SELECT oms.version();
CREATE EXTENSION oms;
SELECT count(*) FROM oms.list_orders();
-- The same key is new again, and the owner's state of before is unknown.
SELECT status, version, replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 5}]', 'k');
SELECT version FROM oms.append_events('note', 'n', 0, '[{"type": "note.made", "payload": {}}]');
SELECT oms.advance_order(order_id, 'pick', 'p') IS NULL FROM oms.list_orders();
SELECT seq, type FROM oms.list_orders() o, oms.order_timeline(o.order_id);
SELECT * FROM oms.check_integrity();
\c :here
DROP DATABASE oms_regress_install;
