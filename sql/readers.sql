-- Goal: a reader hands out each committed event once, in order, and stands where its transaction left it: in pages, after rollbacks, with
-- savepoints, with events of its own, attached or not.
-- Method: one session that appends, reads, confirms and rolls back; what was read is compared with what the log holds. Races are in
-- test/isolation, crashes in test/tap.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

-- Creating: twice is once, and nothing else is taken for the same.
SELECT oms.create_reader('plain', '{readers}');
SELECT test.equal(oms.create_reader('plain', '{readers,readers}')::text, '', 'the same reader again');
SELECT test.equal((SELECT topics FROM oms.reader WHERE name = 'plain'), '{readers}', 'topics are kept as a set');
SELECT test.fails($$SELECT oms.create_reader('plain', '{others}')$$, 'OM029', 'the same name with other topics');
SELECT test.fails($$SELECT oms.create_reader('plain')$$, 'OM029', 'the same name with all topics');
SELECT test.fails($$SELECT oms.create_reader('plain', '{readers}', 'beginning')$$, 'OM029', 'the same name with another start');
SELECT message, detail FROM test.outcome($$SELECT oms.create_reader('plain', '{readers}', 'beginning')$$);
SELECT test.fails($$SELECT oms.create_reader(NULL)$$, 'OM001', 'no name');
SELECT test.fails($$SELECT oms.create_reader('')$$, 'OM001', 'an empty name');
SELECT test.fails($$SELECT oms.create_reader('a b')$$, 'OM001', 'a name with a blank');
SELECT test.fails($$SELECT oms.create_reader(repeat('x', 64))$$, 'OM001', 'a name that is too long');
SELECT test.fails($$SELECT oms.create_reader('other', '{}')$$, 'OM001', 'no topics');
SELECT test.fails($$SELECT oms.create_reader('other', '{a,NULL}')$$, 'OM001', 'a NULL among the topics');
SELECT test.fails($$SELECT oms.create_reader('other', '{{a},{b}}')$$, 'OM001', 'a matrix of topics');
SELECT test.fails($$SELECT oms.create_reader('other', '{a,*}')$$, 'OM001', 'all topics among others');
SELECT test.fails($$SELECT oms.create_reader('other', NULL, 'yesterday')$$, 'OM001', 'another start');
SELECT test.fails($$SELECT oms.create_reader('other', NULL, NULL)$$, 'OM001', 'no start');
SELECT test.fails($$SELECT * FROM oms.read_events('other')$$, 'OM002', 'reading through a reader that does not exist');
SELECT test.fails($$SELECT oms.commit_reader('other')$$, 'OM002', 'confirming for a reader that does not exist');
SELECT test.fails($$SELECT oms.attach_reader('other')$$, 'OM002', 'attaching to a reader that does not exist');
SELECT test.fails($$SELECT oms.drop_reader('other')$$, 'OM002', 'dropping a reader that does not exist');
SELECT test.nothing($$SELECT * FROM oms.reader_status('other')$$, 'no status of a reader that does not exist');
SELECT test.fails($$SELECT * FROM oms.read_events('plain', 0)$$, 'OM001', 'no events at all');
SELECT test.fails($$SELECT * FROM oms.read_events('plain', 1000001)$$, 'OM001', 'too many events at once');
SELECT test.fails($$SELECT * FROM oms.read_events('plain', 1, 0)$$, 'OM001', 'no bytes at all');
SELECT test.fails($$SELECT oms.attach_reader('plain', -1)$$, 'OM001', 'a negative wait');
SELECT test.fails($$SELECT oms.attach_reader('plain', 60001)$$, 'OM001', 'a wait that would hold its snapshot for long');

-- What happened before "now" is not for the reader; "beginning" gets all; topics choose; the star includes what has no topic.
SELECT test.last_id() AS start \gset
SELECT test.append('s1', 3) AS last \gset
SELECT test.append('s1', 2, 'others') AS last \gset
SELECT test.append('s1', 1, NULL) AS last \gset
SELECT test.equal(test.read('plain'), test.ids(:start), 'the events of its topic');
SELECT oms.create_reader('late', '{readers}');
SELECT test.equal(test.read('late'), '{}', 'a reader from now on has nothing to read');
SELECT oms.create_reader('every', '{*}', 'beginning');
SELECT test.equal((SELECT count(*) FROM oms.read_events('every', 1000000)), (SELECT count(*) FROM oms.event), 'every event from the beginning');
SELECT oms.create_reader('deliverable', NULL, 'beginning');
SELECT test.equal((SELECT count(*) FROM oms.read_events('deliverable', 1000000)), (SELECT count(*) FROM oms.event WHERE topic IS NOT NULL),
    'every event that has a topic');
SELECT test.nothing($$SELECT r.* FROM oms.read_events('every', 1000000) r
    EXCEPT SELECT id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at FROM oms.event$$, 'events are handed out as they are');

-- Not attached: the transaction reads ahead, and its end decides.
BEGIN;
SELECT test.equal(test.read('plain', 2) || test.read('plain', 2), test.ids(:start), 'two reads of one transaction');
SELECT test.equal(test.read('plain'), '{}', 'then there is nothing more');
SELECT oms.commit_reader('plain');
ROLLBACK;
BEGIN;
SELECT test.equal(test.read('plain'), test.ids(:start), 'after a rollback all is as it was');
COMMIT;
SELECT test.equal(test.read('plain'), test.ids(:start), 'what was not confirmed is read again');
SELECT test.fails($$SELECT oms.commit_reader('plain', $$ || :start + 1 || ')', 'OM032', 'confirming what another transaction read');
SELECT test.equal(oms.commit_reader('plain')::text, '', 'nothing was read, nothing moves');
BEGIN;
SELECT test.equal(test.read('plain', 2), (test.ids(:start))[1:2], 'the first two');
SELECT oms.commit_reader('plain', :start + 1);
SELECT test.fails($$SELECT oms.commit_reader('plain', $$ || :start + 3 || ')', 'OM032', 'an event that was not read');
COMMIT;
BEGIN;
SELECT test.equal(test.read('plain'), (test.ids(:start))[2:3], 'goes on in the middle of the page');
SELECT oms.commit_reader('plain', :start + 2);
SELECT oms.commit_reader('plain', :start + 2);
SELECT test.fails($$SELECT oms.commit_reader('plain', $$ || :start + 1 || ')', 'OM032', 'an event that is confirmed already');
SELECT oms.commit_reader('plain', :start + 3);
COMMIT;
SELECT test.equal(test.read('plain'), '{}', 'everything is confirmed');
SELECT test.equal(count(*), 1, 'one row holds the position') FROM oms.reader_position WHERE reader = 'plain';

-- Savepoints: what a rolled-back one read is read again, and what it confirmed is not confirmed.
SELECT test.last_id() AS start \gset
SELECT test.append('s2', 6) AS last \gset
BEGIN;
SELECT test.equal(test.read('plain', 1), (test.ids(:start))[1:1], 'before the savepoint');
SAVEPOINT a;
SELECT test.equal(test.read('plain', 2), (test.ids(:start))[2:3], 'inside');
SAVEPOINT b;
SELECT test.equal(test.read('plain', 1), (test.ids(:start))[4:4], 'further inside');
RELEASE b;
SELECT oms.commit_reader('plain');
ROLLBACK TO a;
SELECT test.equal(test.read('plain', 1), (test.ids(:start))[2:2], 'goes on behind what is left');
SAVEPOINT c;
SELECT oms.commit_reader('plain', :start + 1);
ROLLBACK TO c;
SELECT oms.commit_reader('plain', :start + 1);
SAVEPOINT d;
SELECT oms.commit_reader('plain', :start + 2);
RELEASE d;
COMMIT;
SELECT test.equal(test.read('plain'), (test.ids(:start))[3:6], 'the position is that of what was not rolled back');
BEGIN;
SAVEPOINT a;
SELECT test.equal(test.read('plain', 1), (test.ids(:start))[3:3], 'a savepoint that takes the reader');
ROLLBACK TO a;
SELECT test.equal(test.read('plain', 1), (test.ids(:start))[3:3], 'and gives it back');
ROLLBACK;

-- The transaction's own events are handed out when it has committed, be it written before or after the read.
SELECT oms.create_reader('own', '{readers}');
SELECT test.last_id() AS start \gset
BEGIN;
SELECT test.append('s3', 1) AS last \gset
SELECT test.equal(test.read('own'), '{}', 'own events are not committed yet');
SELECT test.append('s3', 1) AS last \gset
SELECT test.equal(test.read('own'), '{}', 'nor are those written since');
SELECT oms.commit_reader('own');
COMMIT;
SELECT test.equal(test.read('own'), test.ids(:start), 'after the commit they come');
BEGIN;
SELECT test.read('own') AS ids \gset
SELECT oms.commit_reader('own');
SELECT test.append('s3', 1) AS last \gset
ROLLBACK;
SELECT test.equal(test.read('own'), test.ids(:start), 'a rollback brings back both, the position and the log');

-- A local consumer: what it does and that it has done it are one transaction.
CREATE TABLE test.consumed (id bigint PRIMARY KEY);
SELECT oms.create_reader('consumer', '{readers}');
SELECT test.last_id() AS start \gset
SELECT test.append('s4', 25) AS last \gset
CREATE FUNCTION test.consume(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    consumed bigint;
BEGIN
    INSERT INTO test.consumed SELECT id FROM oms.read_events('consumer', most);
    GET DIAGNOSTICS consumed = ROW_COUNT;
    PERFORM oms.commit_reader('consumer');
    RETURN consumed;
END $$;
SELECT test.consume(10);
BEGIN;
SELECT test.consume(10);
ROLLBACK;
SELECT test.consume(10);
SELECT test.consume(10);
SELECT test.consume(10);
SELECT test.equal((SELECT array_agg(id ORDER BY id) FROM test.consumed), test.ids(:start), 'each event was consumed once');

-- Attached: the session goes on behind what it has read, whatever is confirmed.
SELECT oms.create_reader('ahead', '{readers}');
SELECT test.last_id() AS start \gset
SELECT test.append('s5', 10) AS last \gset
SELECT oms.attach_reader('ahead'), oms.attach_reader('ahead');
SELECT test.equal(owner_pid, pg_backend_pid(), 'the owner is this session') FROM oms.reader_status('ahead');
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[1:3], 'the first page');
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[4:6], 'the next one without a commit between');
BEGIN;
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[7:9], 'one in a transaction');
ROLLBACK;
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[7:9], 'which was rolled back: again');
BEGIN;
SELECT oms.commit_reader('ahead', :start + 4);
ROLLBACK;
BEGIN;
SELECT oms.commit_reader('ahead', :start + 2);
SAVEPOINT a;
SELECT oms.commit_reader('ahead', :start + 5);
ROLLBACK TO a;
COMMIT;
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[10:10], 'reading goes on');
SELECT test.equal(test.read('ahead', 3), '{}', 'to the end');
SELECT oms.commit_reader('ahead', :start + 6);
SELECT test.append('s5', 2) AS last \gset
SELECT test.equal(test.read('ahead', 3), (test.ids(:start))[11:12], 'and behind it');
SELECT oms.detach_reader('ahead');
SELECT test.equal(test.read('ahead'), (test.ids(:start))[7:12], 'a fresh reader of it begins at what was confirmed');
SELECT oms.attach_reader('ahead');
SELECT test.read('ahead', 4) AS ids \gset
DISCARD ALL;
\t on
\pset format unaligned
SELECT test.equal(owner_pid, NULL, 'DISCARD ALL gives the reader back') FROM oms.reader_status('ahead');
SELECT test.equal(test.read('ahead'), (test.ids(:start))[7:12], 'and with it what was read ahead');
BEGIN;
SELECT test.read('ahead', 2) AS ids \gset
SELECT oms.attach_reader('ahead');
SELECT test.equal(test.read('ahead', 2), (test.ids(:start))[9:10], 'a transaction that attaches goes on where it was');
COMMIT;
SELECT test.equal(test.read('ahead', 2), (test.ids(:start))[11:12], 'and so does the session');
SELECT oms.commit_reader('ahead');
SELECT test.equal(test.read('ahead'), '{}', 'everything is confirmed');
SELECT test.fails($$SELECT oms.commit_reader('ahead', 1)$$, 'OM032', 'an event that nobody read here');

-- Bytes end a page as well, but never before its first event.
SELECT test.last_id() AS start \gset
SELECT test.append('s6', 4) AS last \gset
SELECT test.equal((SELECT array_agg(id) FROM oms.read_events('ahead', 10, 1)), (test.ids(:start))[1:1], 'one event is more than a byte');
SELECT test.equal((SELECT array_agg(id) FROM oms.read_events('ahead', 10, 1000000)), (test.ids(:start))[2:4], 'all others are less than a megabyte');
SELECT oms.commit_reader('ahead');

-- Small pages that wait together for their confirmation become one; nothing else changes.
SELECT test.last_id() AS start \gset
CREATE TEMP TABLE single (id bigint);
DO $$
BEGIN
    FOR i IN 1 .. 50 LOOP
        PERFORM test.append('s7', 1);
        INSERT INTO single SELECT id FROM oms.read_events('ahead', 10);
        COMMIT;
    END LOOP;
END $$;
INSERT INTO single SELECT id FROM oms.read_events('ahead', 10);
SELECT test.equal((SELECT array_agg(id ORDER BY id) FROM single), test.ids(:start), 'fifty pages of one event');
SELECT test.ok(count(*) <= 3, 'are kept as a few') FROM pg_backend_memory_contexts WHERE ident = 'oms reader page';
SELECT oms.commit_reader('ahead', (test.ids(:start))[20]);
SELECT oms.commit_reader('ahead', (test.ids(:start))[33]);
SELECT test.fails(format('SELECT oms.commit_reader(''ahead'', %s)', (test.ids(:start))[20]), 'OM032', 'one that is confirmed');
SELECT oms.detach_reader('ahead');
SELECT test.equal(test.read('ahead'), (test.ids(:start))[34:50], 'a position inside them');

-- An idle reader that passes many events that are not for it stores where it is.
SELECT oms.create_reader('idle', '{nothing}');
SELECT oms.attach_reader('idle');
SELECT test.append('s8', 9000) AS last \gset
SELECT test.read('idle');
SELECT test.equal(generation, 1, 'not for a few') FROM oms.reader_position WHERE reader = 'idle';
SELECT test.append('s8', 9000) AS last \gset
SELECT test.read('idle');
SELECT test.equal((generation, passed_id), (2::bigint, test.last_id()), 'but for many') FROM oms.reader_position WHERE reader = 'idle';
SELECT oms.detach_reader('idle');

-- A rollback leaves the session attached, but not with what its transaction had done to the reader before.
BEGIN;
SELECT oms.create_reader('undone', '{readers}', 'beginning');
SELECT oms.attach_reader('undone');
SELECT cardinality(test.read('undone', 2));
ROLLBACK;
SELECT test.fails($$SELECT oms.read_events('undone')$$, 'OM002', 'a reader whose creation was rolled back is not read');
SELECT test.fails($$SELECT oms.commit_reader('undone')$$, 'OM002', 'nor confirmed');
SELECT oms.create_reader('undone', '{readers}', 'now');
BEGIN;
SAVEPOINT a;
SELECT oms.drop_reader('undone');
SELECT oms.create_reader('undone', '{readers}', 'beginning');
SELECT oms.attach_reader('undone');
SELECT cardinality(test.read('undone', 2));
SELECT oms.commit_reader('undone');
ROLLBACK TO a;
SELECT test.equal(test.read('undone'), '{}', 'the reader of before stands where it stood');
COMMIT;
SELECT test.append('s8', 2) AS last \gset
SELECT test.equal(test.read('undone', 1), ARRAY[:last - 1], 'and reads on');
SELECT test.equal(test.read('undone', 1), ARRAY[:last::bigint], 'as an attached session does');
SELECT test.equal(owner_pid, pg_backend_pid(), 'which it still is') FROM oms.reader_status('undone');
SELECT oms.commit_reader('undone');
SELECT oms.detach_reader('undone');
SELECT test.equal(test.read('undone'), '{}', 'all is confirmed');
SELECT oms.drop_reader('undone');

-- Status without counting.
SELECT oms.create_reader('status', '{readers}');
SELECT test.equal((lag_events, lag_seconds, oldest_pending, delayed_by_pid, delayed_since), (0::bigint, 0::float8, NULL::timestamptz, NULL::integer, NULL::timestamptz),
    'nothing to read') FROM oms.reader_status('status');
SELECT test.append('s9', 5) AS last \gset
SELECT test.equal(lag_events, 5, 'five ids') FROM oms.reader_status('status');
SELECT test.ok(lag_seconds > 0 AND oldest_pending = (SELECT occurred_at FROM oms.event WHERE id = :last - 4), 'the oldest of them') FROM oms.reader_status('status');
SELECT test.ok(position LIKE 'event % (snapshot %)', 'the position as text') FROM oms.reader_status('status');
SELECT test.equal((SELECT count(*) FROM oms.reader_status()), (SELECT count(*) FROM oms.reader), 'all readers');

-- Dropping takes the position along.
SELECT oms.drop_reader(name) FROM oms.reader WHERE name IN ('plain', 'late', 'every', 'deliverable', 'own', 'consumer', 'ahead', 'idle', 'status');
SELECT test.nothing('SELECT reader FROM oms.reader_position', 'no position is left');
BEGIN;
SELECT oms.create_reader('plain', '{readers}', 'beginning');
SELECT oms.drop_reader('plain');
SELECT oms.create_reader('plain', '{others}');
COMMIT;
SELECT test.equal((SELECT topics FROM oms.reader WHERE name = 'plain'), '{others}', 'dropped and made anew in one transaction');
SELECT oms.drop_reader('plain');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
