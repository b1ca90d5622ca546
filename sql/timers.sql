-- Goal: what is due is done, once, whoever asks; what fails stays with its error and harms nothing else; future timers cost nothing.
-- Method: leases and retries as timers under a clock of our own that also jumps; pages touched by run_due beside many future timers.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
DELETE FROM oms.timer;
SELECT test.ok(oms.next_due() IS NULL, 'nothing is due when there is nothing');
SELECT oms.run_due();
SET oms.now_override = '2031-01-01 12:00:00+00';
SELECT oms.create_task('timers', 'k', '{}', 'timers-1', run_at => '2031-01-01 12:00:10+00') AS t \gset
SELECT oms.create_task('timers', 'k', '{}', 'timers-2', run_at => '2031-01-01 12:00:05+00') AS u \gset
SELECT oms.next_due();
SELECT oms.run_due();
-- The clock jumps over both; each is done once, and a clock that goes back undoes nothing.
SET oms.now_override = '2031-01-01 15:00:00+00';
SELECT oms.run_due(1), oms.run_due(1), oms.run_due(1);
SET oms.now_override = '2031-01-01 12:00:00+00';
SELECT oms.run_due();
SELECT test.equal((SELECT count(*) FROM oms.claim_tasks('timers', 5)), 2::bigint, 'both are ready');
SELECT kind, due_at, failures FROM oms.timer;
-- Rolled back: still there.
SET oms.now_override = '2031-01-01 16:00:00+00';
BEGIN;
SELECT oms.run_due();
ROLLBACK;
SELECT count(*) FROM oms.timer;
SELECT oms.run_due();
SELECT count(*) FROM oms.timer;

-- A timer whose work fails is put back with its error; the others are done.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
SELECT oms.create_task('bad', 'k', '{}', 'bad-1', run_at => '2031-01-01 16:00:01+00') AS bad \gset
SELECT oms.create_task('good', 'k', '{}', 'good-1', run_at => '2031-01-01 16:00:01+00') AS good \gset
CREATE TRIGGER refuse BEFORE UPDATE ON oms.task FOR EACH ROW WHEN (old.queue = 'bad') EXECUTE FUNCTION test.refuse();
SET oms.now_override = '2031-01-01 16:00:02+00';
SELECT oms.run_due();
SELECT subject_id = :bad AS it, failures, last_error, due_at > '2031-01-01 16:00:02+00' AS later FROM oms.timer;
SELECT count(*) FROM oms.claim_tasks('good');
DROP TRIGGER refuse ON oms.task;
SET oms.now_override = '2031-01-01 16:01:00+00';
SELECT oms.run_due();
SELECT count(*) FROM oms.claim_tasks('bad');
RESET oms.now_override;

-- A claim meets the same timers, and is harmed by none: neither by one that fails, nor by one that fails beside others that the same lease covers.
SET oms.now_override = '2031-01-01 17:00:00+00';
SELECT count(oms.create_task('both', 'k' || i, '{}', 'both-' || i)) FROM generate_series(1, 3) i;
SELECT count(*) FROM oms.claim_tasks('both', 3, '1 minute');
SELECT oms.create_task('bad', 'k', '{}', 'bad-2', run_at => '2031-01-01 17:00:01+00') > 0 AS created;
SELECT oms.create_task('good', 'k', '{}', 'good-2') > 0 AS created;
CREATE TRIGGER refuse BEFORE UPDATE ON oms.task FOR EACH ROW WHEN (old.queue = 'bad' OR old.queue = 'both' AND old.kind = 'k2' AND new.status = 'ready') EXECUTE FUNCTION test.refuse();
SET oms.now_override = '2031-01-01 17:02:00+00';
SELECT kind FROM oms.claim_tasks('good', 5);
SELECT kind, attempt FROM oms.claim_tasks('both', 5);
SELECT kind, attempt FROM oms.claim_tasks('both', 5);
SELECT kind, failures, last_error, due_at > oms.clock_time() AS later FROM oms.timer WHERE failures > 0 ORDER BY kind;
-- However often it fails: later and later, and never at the cost of others.
SELECT bool_and(oms.run_due() = 0) FROM generate_series(1, 20);
SELECT max(failures) FROM oms.timer;
SELECT count(oms.create_task('after', 'k' || i, '{}', 'after-' || i, run_at => oms.clock_time() + interval '1 second')) FROM generate_series(1, 3) i;
CREATE FUNCTION test.run_for_an_hour() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := oms.clock_time();
BEGIN
    FOR minute IN 1..60 LOOP
        PERFORM set_config('oms.now_override', (start + minute * interval '1 minute')::text, false);
        PERFORM oms.run_due();
    END LOOP;
    RETURN (SELECT format('%s timers, %s', count(*), min(failures) >= 8 AND max(failures) <= 20) FROM oms.timer WHERE failures > 0);
END $$;
SELECT test.run_for_an_hour();
SELECT string_agg(kind, ' ') FROM oms.claim_tasks('after', 5);
SELECT what, definition, key ~ '^task \d+$' AS named, regexp_replace(why, '\d+', 'N') AS why, since, what_to_do ~ 'next attempt' AS told FROM oms.stuck WHERE what = 'timer' ORDER BY definition, since;
DROP TRIGGER refuse ON oms.task;
SET oms.now_override = '2031-01-01 19:00:00+00';
SELECT oms.run_due() > 0 AS repaired;
SELECT kind FROM oms.claim_tasks('both', 5) WHERE kind = 'k2';
SELECT kind FROM oms.claim_tasks('bad', 5);
SELECT test.nothing($$SELECT * FROM oms.stuck WHERE what = 'timer'$$, 'nothing is stuck');
RESET oms.now_override;

-- Under the real clock the session remembers where it was; a later timer of its own, or of a moment that has passed, is found all the same.
DELETE FROM oms.timer;
SELECT oms.run_due();
SELECT count(oms.create_task('past', 'k', '{}', 'past-1', run_at => now() - interval '1 hour'));
SELECT count(*) FROM oms.claim_tasks('past', 1, '100 milliseconds');
-- Until the lease has ended: as often as it takes.
CREATE FUNCTION test.run_due_until_done() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    done integer := 0;
BEGIN
    FOR turn IN 1..6000 LOOP
        done := oms.run_due();
        EXIT WHEN done > 0;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN done;
END $$;
SELECT test.run_due_until_done();
SELECT attempt FROM oms.claim_tasks('past');

-- Pages, beside timers that lie in the future.
CREATE FUNCTION test.due_pages() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT oms.run_due()' INTO plan;
    RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::int + (plan #>> '{0,Plan,Shared Read Blocks}')::int;
END $$;
SELECT test.due_pages() > 0 AS warm;
SELECT test.due_pages() AS alone \gset
INSERT INTO oms.timer SELECT -i, 6, i, now() + interval '1 day' + i * interval '1 second', NULL, 0, NULL FROM generate_series(1, 50000) i;
SELECT test.due_pages() > 0 AS warm;
SELECT test.ok(test.due_pages() <= :alone + 40, 'pages of run_due do not grow with future timers');
DELETE FROM oms.timer WHERE timer_id < 0;

-- Bad input.
SELECT test.fails('SELECT oms.run_due(' || n || ')', 'OM001', 'run_due of ' || n) FROM (VALUES ('0'), ('-1'), ('100001')) v(n);
