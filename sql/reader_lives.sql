-- Goal: a log that was restored into another cluster goes on: what was delivered stays delivered, what was not is delivered, once, and the reader
-- says so.
-- Method: the cluster's identifier on record is changed and the xids of some events and of a position are moved to where this cluster has never
-- been, as after a restore. test/tap does it with a real dump.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
CREATE TABLE test.lives_before AS SELECT * FROM oms.log_life;
SELECT test.equal(array_agg(DISTINCT system_identifier), ARRAY[(SELECT system_identifier FROM pg_control_system())], 'the log knows its cluster') FROM oms.log_life;
SELECT test.equal(min(first_event_id), 1, 'and that all of it was written there') FROM oms.log_life;

-- Five events, each in a transaction of its own.
SELECT test.append('lives', 1, 'lives') AS e1 \gset
SELECT test.append('lives', 1, 'lives') AS e2 \gset
SELECT test.append('lives', 1, 'lives') AS e3 \gset
SELECT test.append('lives', 1, 'lives') AS e4 \gset
SELECT test.append('lives', 1, 'lives') AS e5 \gset
SELECT oms.create_reader('lives', '{lives}');
SELECT oms.create_reader('lives_paged', '{lives}', 'beginning');
SELECT oms.create_reader('lives_twice', '{lives}', 'beginning');

-- They come from a cluster that has counted five million transactions more. There the reader had seen all but the second, whose transaction was
-- still running, and the fifth; one other had read two of a page.
CREATE FUNCTION test.elsewhere(x xid8) RETURNS xid8 LANGUAGE sql AS $$ SELECT (x::text::bigint + 5000000)::text::xid8 $$;
SET session_replication_role = replica;
UPDATE oms.event SET xid = test.elsewhere(xid) WHERE topic = 'lives';
RESET session_replication_role;
SELECT xid AS x2 FROM oms.event WHERE id = :e2 \gset
SELECT xid AS x5 FROM oms.event WHERE id = :e5 \gset
UPDATE oms.reader_position SET from_snapshot = format('%s:%s:%s', :x2, :x5, :x2)::pg_snapshot, from_xid = :'x5'::xid8, from_id = :e4, from_bounds = ARRAY[:e1, :e4]
    WHERE reader = 'lives';
UPDATE oms.reader_position SET to_snapshot = format('%s:%s:%s', :x2, :x5, :x2)::pg_snapshot, to_xid = :'x5'::xid8, to_id = :e4, to_bounds = ARRAY[:e1, :e4], page_id = :e1
    WHERE reader = 'lives_paged';
UPDATE oms.reader SET start_snapshot = format('%s:%s:', :x5 + 1, :x5 + 1)::pg_snapshot WHERE name = 'lives';
UPDATE oms.log_life SET system_identifier = 42;
\c -

-- A new life begins with the first append, if that is committed.
BEGIN;
SELECT test.append('lives', 1, 'lives') AS lost \gset
SELECT test.equal((count(*), max(life)), (1::bigint, 2), 'a second life') FROM oms.log_life WHERE system_identifier <> 42;
ROLLBACK;
SELECT test.nothing('SELECT * FROM oms.log_life WHERE system_identifier <> 42', 'it was rolled back');
BEGIN;
SAVEPOINT a;
SELECT test.append('lives', 1, 'lives') AS lost \gset
ROLLBACK TO a;
SELECT test.append('lives', 1, 'lives') AS e6 \gset
COMMIT;
SELECT test.equal((count(*), max(life)), (1::bigint, 2), 'one record of the second life') FROM oms.log_life WHERE system_identifier <> 42;
SELECT test.ok(first_event_id > :e5 AND first_event_id <= :e6, 'it begins between the last event of the old life and the first of the new') FROM oms.log_life WHERE life = 2;

-- What the old cluster had not delivered comes first, then the new life; the position is kept as any other.
SELECT test.equal(oldest_pending, (SELECT occurred_at FROM oms.event WHERE id = :e2), 'the status names what is pending') FROM oms.reader_status('lives');
SELECT test.ok(position LIKE 'life 1 of the log, event %', 'and that it belongs to another life') FROM oms.reader_status('lives');
\set VERBOSITY terse
BEGIN;
SELECT test.equal(test.read('lives'), ARRAY[:e2, :e5, :e6]::bigint[], 'what was not read in the old life, then the new one');
ROLLBACK;
BEGIN;
SELECT test.equal(test.read('lives', 1), ARRAY[:e2]::bigint[], 'page by page: the one that was running');
SELECT oms.commit_reader('lives');
COMMIT;
BEGIN;
SELECT test.equal(test.read('lives', 1), ARRAY[:e5]::bigint[], 'the one that came after');
SELECT oms.commit_reader('lives');
COMMIT;
BEGIN;
SELECT test.equal(test.read('lives', 1), ARRAY[:e6]::bigint[], 'the new life');
SELECT oms.commit_reader('lives');
COMMIT;
BEGIN;
SELECT test.equal(test.read('lives'), '{}', 'nothing twice');
SELECT oms.commit_reader('lives');
COMMIT;
SELECT test.equal(life, 2, 'the position belongs to the new life') FROM oms.reader_position WHERE reader = 'lives';
SELECT test.equal(test.read('lives'), '{}', 'and says nothing more');
SELECT test.equal(test.read('lives_paged'), ARRAY[:e3, :e4, :e2, :e5, :e6]::bigint[], 'an open page is finished first');
SET oms.outbox_reader = 'lives_paged';
SELECT test.equal(array_agg(status ORDER BY id), '{sent,pending,pending,pending,pending,pending}', 'the outbox says the same') FROM oms.outbox WHERE topic = 'lives';
SET oms.outbox_reader = 'lives';
SELECT test.equal(array_agg(status ORDER BY id), '{sent}', 'the outbox of a reader that started later') FROM oms.outbox WHERE topic = 'lives';
RESET oms.outbox_reader;

-- Twice moved without a read between: one life after the other.
UPDATE oms.log_life SET system_identifier = 43 WHERE life = 2;
SET session_replication_role = replica;
UPDATE oms.event SET xid = test.elsewhere(xid) WHERE id = :e6;
RESET session_replication_role;
\c -
SELECT test.append('lives', 1, 'lives') AS e7 \gset
SELECT test.equal(max(life), 3, 'a third life') FROM oms.log_life;
\set VERBOSITY terse
SELECT test.equal(test.read('lives_twice'), ARRAY[:e1, :e2, :e3, :e4, :e5, :e6, :e7]::bigint[], 'all three lives in order');
SELECT test.equal(test.read('lives'), ARRAY[:e7]::bigint[], 'the third alone');

-- A restore that has not come to the sequence yet is waited for, by appends and by reads.
UPDATE oms.log_life SET system_identifier = 44 WHERE life = 3;
SELECT setval('oms.event_id_seq', :e6) AS drawn \gset
\c -
SELECT test.fails($$SELECT test.append('lives', 1, 'lives')$$, 'OM034', 'an append to a log that is not restored completely');
SELECT test.fails($$SELECT test.read('lives')$$, 'OM034', 'a read of one');
SELECT test.fails($$SELECT oms.create_reader('lives_new')$$, 'OM034', 'a new reader of one');
SELECT setval('oms.event_id_seq', :e7) AS drawn \gset
SELECT test.append('lives', 1, 'lives') = :e7 + 1 AS goes_on;

-- All back as it was, for the tests that follow.
SELECT oms.drop_reader(name) FROM unnest('{lives, lives_paged, lives_twice}'::text[]) name;
SET session_replication_role = replica;
UPDATE oms.event SET xid = (xid::text::bigint - 5000000)::text::xid8 WHERE topic = 'lives' AND id <= :e6;
RESET session_replication_role;
DELETE FROM oms.log_life;
INSERT INTO oms.log_life SELECT * FROM test.lives_before;
\c -
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
