-- Goal: a task of a published queue goes out over the queue's topic, under a lease; whoever reads it answers as a claimer does, and what is not
-- answered goes out again.
-- Method: the clock is moved by hand; what went out is read from the log; all answers there are; a saga behind it; the queue is paused and changed.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-02 10:00:00+00';
CREATE SCHEMA published;
-- The last command of a task, as who reads the topic sees it.
CREATE FUNCTION published.last(task bigint, OUT topic text, OUT key text, OUT seq bigint, OUT payload jsonb) LANGUAGE sql BEGIN ATOMIC
    SELECT e.topic, e.key, e.seq, e.payload FROM oms.event e WHERE aggregate_type = 'task' AND aggregate_id = task::text ORDER BY e.seq DESC LIMIT 1; END;
CREATE FUNCTION published.epoch(task bigint) RETURNS bigint LANGUAGE sql RETURN ((published.last(task)).payload ->> 'lease_epoch')::bigint;
CREATE FUNCTION published.shown(task bigint) RETURNS jsonb LANGUAGE sql BEGIN ATOMIC
    SELECT payload - '{task_id,lease_epoch,step_id,provider_key}'::text[] FROM published.last(task); END;
INSERT INTO oms.queue (queue, publish, lease, base_ms, jitter) VALUES ('dispatch', true, '1 minute', 60000, 0);

-- A new task: nobody can claim it, the clock gives it out.
SELECT oms.create_task('dispatch', 'parcel', '{"to": "Bern"}', test.key(), provider_key => 'p-1', deadline_at => '2026-03-02 12:00:00+00') AS task \gset
SELECT count(*) FROM oms.claim_tasks('dispatch', 9);
SELECT count(*) FROM oms.event WHERE aggregate_type = 'task';
SELECT oms.run_due(), oms.run_due();
SELECT topic, key = :'task' AS own_key, seq, published.shown(:task) FROM published.last(:task);
SELECT test.equal((SELECT (task_id, lease_epoch, lease_until, attempt)::text FROM oms.task WHERE task_id = :task),
    (SELECT ((payload ->> 'task_id')::bigint, (payload ->> 'lease_epoch')::bigint, (payload ->> 'lease_until')::timestamptz, 1)::text FROM published.last(:task)), 'it is leased as the command says');
SELECT count(*) FROM oms.claim_tasks('dispatch', 9);
SELECT status, replayed FROM oms.complete_task(:task, published.epoch(:task), '{"label": 1}');
SELECT status, replayed FROM oms.complete_task(:task, published.epoch(:task), '{"label": 1}');
SELECT oms.run_due(), status FROM oms.task WHERE task_id = :task;

-- Not answered: it goes out again, under another epoch, and the late answer is refused.
SELECT oms.create_task('dispatch', 'parcel', '{}', test.key()) AS task \gset
SELECT oms.run_due();
SELECT published.epoch(:task) AS first \gset
SET oms.now_override = '2026-03-02 10:01:00+00';
SELECT oms.run_due(), oms.run_due(), oms.run_due();
SELECT seq, published.epoch(:task) > :first AS later, published.shown(:task) FROM published.last(:task);
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :task, :first), 'OM022', 'the first answer comes too late');
-- A heartbeat, a failure and its backoff.
SELECT oms.heartbeat_task(:task, published.epoch(:task), '5 minutes');
SET oms.now_override = '2026-03-02 10:02:00+00';
SELECT oms.run_due(), oms.run_due();
SELECT seq FROM published.last(:task);
SELECT oms.fail_task(:task, published.epoch(:task), 'no van');
SELECT status, position, run_at FROM oms.task WHERE task_id = :task;
SET oms.now_override = '2026-03-02 10:03:59+00';
SELECT oms.run_due(), count(*) FROM oms.claim_tasks('dispatch', 9);
SET oms.now_override = '2026-03-02 10:04:00+00';
SELECT oms.run_due();
SELECT seq, payload -> 'attempt' FROM published.last(:task);
SELECT oms.fail_task(:task, published.epoch(:task), 'no such town', retryable => false);
SELECT oms.run_due(), oms.run_due(), status FROM oms.task WHERE task_id = :task;
SELECT kind FROM oms.replay_tasks(ARRAY[:task], dry_run => false, reason => 'the town was found');
SELECT oms.run_due();
SELECT seq, payload -> 'attempt' FROM published.last(:task);
SELECT oms.cancel_task(:task, 'no more');
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :task, published.epoch(:task)), 'OM022', 'withdrawn while it was out');
-- Withdrawn before it went out, and one that waits for its time.
SELECT oms.create_task('dispatch', 'parcel', '{}', test.key()) AS task \gset
SELECT oms.cancel_task(:task, 'no more');
SELECT oms.create_task('dispatch', 'parcel', '{}', test.key(), run_at => '2026-03-02 10:10:00+00') AS later \gset
SELECT oms.run_due(), (SELECT count(*) FROM oms.event WHERE aggregate_type = 'task' AND aggregate_id IN (:'task', :'later'));
SET oms.now_override = '2026-03-02 10:10:00+00';
SELECT oms.run_due(), oms.run_due();
SELECT published.shown(:later), (oms.complete_task(:later, published.epoch(:later))).status;

-- A step of a saga: all that one saga asks for has its key.
SELECT oms.define_saga('published', '{"steps": [
    {"name": "a", "kind": "task", "queue": "dispatch", "task": "pick", "compensation": {"queue": "dispatch", "task": "put.back"}},
    {"name": "w", "kind": "wait", "signal": "go"}]}');
SELECT saga_id AS saga FROM oms.start_saga('published', '{"sku": "TEA"}', test.key()) \gset
SELECT oms.run_due();
SELECT task_id AS task FROM oms.task WHERE step_id >> 14 = :saga \gset
SELECT key = :'saga' AS key_of_saga, payload -> 'kind', payload -> 'payload' -> 'data' FROM published.last(:task);
SELECT status FROM oms.complete_task(:task, published.epoch(:task), '{"shelf": 7}');
SELECT status, waits_for FROM oms.saga WHERE saga_id = :saga;
SELECT status FROM oms.cancel_saga(:saga, 'no more', test.key());
SELECT oms.run_due();
SELECT task_id AS task FROM oms.task WHERE step_id >> 14 = :saga AND kind = 'put.back' \gset
SELECT key = :'saga' AS key_of_saga, payload -> 'kind', payload -> 'payload' -> 'result' FROM published.last(:task);
SELECT status FROM oms.complete_task(:task, published.epoch(:task));
SELECT status FROM oms.saga WHERE saga_id = :saga;

-- Paused, nothing goes out; afterwards it does.
UPDATE oms.queue SET paused = true WHERE queue = 'dispatch';
SELECT oms.create_task('dispatch', 'parcel', '{}', test.key()) AS task \gset
SELECT oms.run_due(), oms.run_due(), status, position FROM oms.task WHERE task_id = :task;
SET oms.now_override = '2026-03-02 10:11:01+00';
SELECT why, what_to_do FROM oms.stuck WHERE what = 'task' AND id = :'task';
UPDATE oms.queue SET paused = false WHERE queue = 'dispatch';
SELECT oms.run_due();
SELECT published.shown(:task);
SELECT status FROM oms.complete_task(:task, published.epoch(:task));
-- Not published any more: who claims gets what has not gone out. Published again: what is ready stays with those who claim.
SELECT oms.create_task('dispatch', 'parcel', '{"n": 1}', test.key()) AS task \gset
UPDATE oms.queue SET publish = false WHERE queue = 'dispatch';
SELECT oms.run_due();
UPDATE oms.queue SET publish = true WHERE queue = 'dispatch';
SELECT oms.create_task('dispatch', 'parcel', '{"n": 2}', test.key()) AS other \gset
SELECT oms.run_due();
SELECT payload, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('dispatch', 9);
SELECT published.shown(:other), (oms.complete_task(:other, published.epoch(:other))).status;
-- A transaction that is rolled back: nothing happens.
BEGIN;
SELECT oms.create_task('dispatch', 'parcel', '{}', test.key()) AS task \gset
ROLLBACK;
SELECT oms.run_due(), (SELECT count(*) FROM oms.event WHERE aggregate_type = 'task' AND aggregate_id = :'task');

-- What is refused.
SELECT test.fails($$INSERT INTO oms.queue (queue, publish) VALUES ('two words', true)$$, '23514', 'a name that is no topic');
SELECT test.fails($$INSERT INTO oms.queue (queue, publish, leased_max) VALUES ('few', true, 3)$$, '23514', 'a limit that nobody keeps');
SELECT test.fails($$SELECT oms.append_events('task', '1', NULL, '[{"type": "x", "payload": {}}]')$$, 'OM027', 'commands are not written by hand');
SELECT status, count(*) FROM oms.task WHERE queue = 'dispatch' GROUP BY status ORDER BY status;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DELETE FROM oms.queue WHERE queue = 'dispatch';
DROP SCHEMA published CASCADE;
