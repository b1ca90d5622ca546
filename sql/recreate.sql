-- Goal: what a session keeps of the extension (plans, relations' oids, rules, routes, the place of its readers) ends with the extension: after
-- DROP EXTENSION and CREATE EXTENSION the same session works with the new one, and remembers nothing of the old.
-- Method: a database of its own. Functions that use everything are called before and after each change, in the session that cached it all. The
-- extension is recreated at once, in one transaction, in one that is rolled back, under an attached reader, and by another owner.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
\set origin :DBNAME
\c postgres
CREATE DATABASE oms_recreate TEMPLATE :"origin";
\c oms_recreate
SET client_min_messages = warning;

-- The commands: one order from its creation to its completion, a stream, and answers that are given again. Everything is new, so it counts from 1.
CREATE FUNCTION test.use_commands() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made record;
    step text;
BEGIN
    SELECT order_id, status, replayed INTO made
    FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 50}]', 'create');
    PERFORM test.equal(made.status, 'pending', 'created');
    PERFORM test.ok(NOT made.replayed, 'the key of the time before is forgotten');
    PERFORM test.equal((SELECT min(id) FROM oms.event), 1, 'ids begin anew');
    FOREACH step IN ARRAY '{reserve,pay,confirm,ship,complete}'::text[] LOOP
        PERFORM oms.advance_order(made.order_id, step, step);
    END LOOP;
    PERFORM test.equal((SELECT status FROM oms.orders), 'completed', 'completed');
    PERFORM test.equal((SELECT order_id FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 50}]', 'create')),
        made.order_id, 'the answer is given again');
    PERFORM test.equal(oms.get_order(made.order_id) #>> '{items,0,sku}', 'a', 'the order is found');
    PERFORM test.equal((SELECT count(*) FROM oms.order_timeline(made.order_id)), 6, 'its timeline');
    PERFORM test.equal((SELECT count(*) FROM oms.list_orders('{"status": "completed"}')), 1, 'it is listed');
    PERFORM test.append('stream', 3);
    PERFORM test.equal((SELECT count(*) FROM oms.read_stream('reader_test', 'stream')), 3, 'a stream');
    RETURN 'ok: commands';
END $$;

-- A reader and its dead letters, over what the commands have committed.
CREATE FUNCTION test.use_readers() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM oms.create_reader('all', '{*}', 'beginning');
    ids := test.read('all');
    PERFORM test.equal(ids, (SELECT array_agg(id ORDER BY id) FROM oms.event), 'everything is read');
    PERFORM oms.commit_reader('all');
    PERFORM test.equal(oms.reject_event('all', ids[7], 'too large', 1), 1, 'the first dead letter');
    PERFORM test.equal((SELECT outcome FROM oms.dlq_replay(filter => '{}', dry_run => false, reason => 'again')), 'replaying', 'it is replayed');
    PERFORM test.equal((SELECT id FROM oms.take_replays('all')), ids[7], 'its event is taken');
    PERFORM oms.settle_replay(1, true);
    PERFORM test.equal((SELECT status FROM oms.dead_letter), 'sent', 'and sent');
    PERFORM test.equal((SELECT count(*) FROM oms.reader_status()), 1, 'the reader''s status');
    PERFORM test.ok(oms.doorbell_arm(), 'the doorbell is free');
    PERFORM oms.doorbell_disarm();
    PERFORM test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
    RETURN 'ok: readers';
END $$;

-- Another copy of the extension, which the session has never seen.
DROP EXTENSION oms CASCADE;
SELECT test.fails($$SELECT oms.version()$$, '42883', 'without the extension there is no function');
CREATE EXTENSION oms;
SELECT test.use_commands();
SELECT test.use_readers();

-- Again, with everything cached.
DROP EXTENSION oms CASCADE;
CREATE EXTENSION oms;
SELECT test.use_commands();
SELECT test.use_readers();

-- The owner's states, transitions and routes went with it.
INSERT INTO oms.order_status (status) VALUES ('picked');
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('pending', 'pick', 'picked', 'order.picked');
INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', '*', 'mine');
SELECT order_id FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'picked') \gset
SELECT test.equal((oms.advance_order(:'order_id', 'pick', 'pick')).status, 'picked', 'a transition of the owner');
SELECT test.equal((SELECT topic FROM oms.event ORDER BY id DESC LIMIT 1), 'mine', 'a route of the owner');
DROP EXTENSION oms CASCADE;
CREATE EXTENSION oms;
SELECT order_id FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'picked') \gset
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'pick', 'pick')$$, :'order_id'), 'OM001', 'his transition is gone');
SELECT test.equal((SELECT topic FROM oms.event ORDER BY id DESC LIMIT 1), 'oms.order.events', 'and so is his route');

-- A transaction that recreates it between two commands, and one that is rolled back, in whole or to a savepoint.
BEGIN;
DROP EXTENSION oms CASCADE;
CREATE EXTENSION oms;
SELECT test.use_commands();
DROP EXTENSION oms CASCADE;
CREATE EXTENSION oms;
SELECT test.use_commands();
COMMIT;
SELECT test.use_readers();
SELECT count(*) AS events FROM oms.event \gset
BEGIN;
DROP EXTENSION oms CASCADE;
SAVEPOINT without;
CREATE EXTENSION oms;
SELECT test.use_commands();
ROLLBACK TO without;
SELECT test.fails($$SELECT oms.version()$$, '42883', 'back in the time without it');
CREATE EXTENSION oms;
SELECT test.use_commands();
ROLLBACK;
SELECT test.equal((SELECT count(*) FROM oms.event), :events, 'after the rollback the old one is there');
SELECT test.ok(replayed, 'with its answers')
    FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 50}]', 'create');
SELECT test.append('stream', 1) AS last \gset
SELECT test.equal(test.read('all'), ARRAY[:last]::bigint[], 'and with its readers, where they stood');

-- Under an attached reader that has read ahead: its place is not taken over by a reader of the same name.
SELECT oms.attach_reader('all');
SELECT test.equal(test.read('all'), ARRAY[:last]::bigint[], 'read ahead');
DROP EXTENSION oms CASCADE;
CREATE EXTENSION oms;
SELECT test.fails($$SELECT oms.commit_reader('all')$$, 'OM002', 'the reader is gone');
SELECT test.use_commands();
SELECT test.use_readers();
SELECT test.append('stream', 2) AS last \gset
SELECT test.fails(format($$SELECT oms.commit_reader('all', %s)$$, :last - 1), 'OM032', 'nothing was read of the new one');
SELECT oms.attach_reader('all');
SELECT test.equal(test.read('all'), ARRAY[:last - 1, :last]::bigint[], 'the new one reads on its own');
SELECT oms.commit_reader('all', :last - 1);
SELECT oms.detach_reader('all');
SELECT test.equal(test.read('all'), ARRAY[:last]::bigint[], 'and stands where it was confirmed');
SELECT test.equal((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), 0, 'no lock is left behind');

-- Another owner, while the schema stays with the first one, who is a superuser no more: what the functions may do comes from who owns the tables.
DROP EXTENSION oms CASCADE;
DROP SCHEMA oms;
CREATE ROLE oms_recreate_first SUPERUSER;
CREATE ROLE oms_recreate_second SUPERUSER;
CREATE ROLE oms_recreate_application;
GRANT USAGE ON SCHEMA test TO oms_recreate_application;
CREATE PROCEDURE test.create_as(owner text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', owner);
    CREATE EXTENSION oms;
    PERFORM oms.grant_application('oms_recreate_application');
END $$;
CALL test.create_as('oms_recreate_first');
SELECT test.append('stream', 1) AS last \gset
SELECT oms.create_reader('all', '{*}', 'beginning');
SET ROLE oms_recreate_application;
SELECT test.equal((SELECT status FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'first')), 'pending', 'for the first owner');
SELECT test.equal((SELECT count(*) FROM oms.list_orders()), 1, 'and a query');
RESET ROLE;
DROP EXTENSION oms CASCADE;
ALTER ROLE oms_recreate_first NOSUPERUSER;
CALL test.create_as('oms_recreate_second');
SELECT test.equal(nspowner::regrole::text, 'oms_recreate_first', 'the schema is the first owner''s') FROM pg_namespace WHERE nspname = 'oms';
SET ROLE oms_recreate_application;
SELECT test.equal((SELECT status FROM oms.create_order('customer', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'first')), 'pending', 'for the second');
SELECT test.equal((SELECT count(*) FROM oms.list_orders()), 1, 'and a query');
RESET ROLE;
DROP EXTENSION oms CASCADE;
DROP SCHEMA oms;
DROP OWNED BY oms_recreate_first, oms_recreate_second, oms_recreate_application;
DROP ROLE oms_recreate_first, oms_recreate_second, oms_recreate_application;
CREATE EXTENSION oms;

-- Nothing piles up in the session: the extension's memory after ten more lives is what it was after the first.
CREATE PROCEDURE test.live(times integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR life IN 1 .. times LOOP
        DROP EXTENSION oms CASCADE;
        CREATE EXTENSION oms;
        PERFORM test.use_commands();
        COMMIT;
        PERFORM test.use_readers();
        COMMIT;
    END LOOP;
END $$;
CALL test.live(2);
SELECT sum(total_bytes) AS before FROM pg_backend_memory_contexts WHERE name LIKE 'oms%' \gset
CALL test.live(10);
SELECT test.equal(sum(total_bytes), :before, 'memory is flat') FROM pg_backend_memory_contexts WHERE name LIKE 'oms%';
\c :"origin"
DROP DATABASE oms_recreate;
