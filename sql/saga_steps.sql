-- Goal: each kind of step does what it says, forward: once, in order, retried by its policy, ended by its deadline; and what a function or a worker
-- can do wrong is the step's failure, never the transaction's.
-- Method: one small saga for each, with a log of what its functions were told; the clock is the test's.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
CREATE SCHEMA saga;
CREATE TABLE saga.log (n serial, line text);
CREATE FUNCTION saga.note(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO saga.log (line) VALUES (format('%s %s %s', context ->> 'purpose', context ->> 'step', context ->> 'attempt'));
    RETURN jsonb_build_object('by', context ->> 'step');
END $$;
CREATE FUNCTION saga.raise(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO saga.log (line) VALUES ('must not be seen');
    RAISE EXCEPTION 'the disk of step % is full', context ->> 'step' USING DETAIL = 'Every byte of it.', ERRCODE = '53100';
END $$;
CREATE FUNCTION saga.raise_twice(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF (context ->> 'attempt')::int < 3 THEN RAISE EXCEPTION 'not yet'; END IF;
    RETURN '{"attempt": 3}';
END $$;
CREATE FUNCTION saga.say(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT context -> 'data' -> 'say' $$;
CREATE FUNCTION saga.define(name text, variadic steps jsonb[]) RETURNS int LANGUAGE sql
    RETURN oms.define_saga(name, jsonb_build_object('steps', to_jsonb(steps)));
CREATE FUNCTION saga.steps(id bigint) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(' ', name, status, 'attempt ' || attempts, error) FROM oms.saga_step WHERE saga_id = id ORDER BY step_id; END;
CREATE FUNCTION saga.log() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT string_agg(line, ', ' ORDER BY n) FROM saga.log; END;
CREATE FUNCTION saga.claim(queue text, OUT task_id bigint, OUT lease_epoch bigint, OUT kind text, OUT payload jsonb) LANGUAGE sql
    BEGIN ATOMIC SELECT task_id, lease_epoch, kind, payload FROM oms.claim_tasks(queue, 1); END;

-- sql: in the transaction that starts it; the answer is kept under the step's name.
SELECT saga.define('sql', '{"name": "a", "kind": "sql", "function": "saga.note", "compensation": null}', '{"name": "b", "kind": "sql", "function": "saga.note", "compensation": null}');
SELECT saga_id AS id, status, waits_for IS NULL FROM oms.start_saga('sql', '{"x": 1}', 'saga-sql-1') \gset
SELECT saga.log(), (oms.saga_status(:id) -> 'data')::text;
SELECT type, step FROM oms.saga_history(:id) ORDER BY seq;
SELECT test.equal((SELECT array_agg(DISTINCT topic) FROM oms.event WHERE aggregate_type = 'saga'), '{oms.saga.events}', 'the events have their topic');
-- The same key: the same answer, and nothing happens again.
SELECT saga_id = :id AS same, replayed FROM oms.start_saga('sql', '{"x": 1}', 'saga-sql-1');
SELECT test.equal(saga.log(), 'do a 1, do b 1', 'each was done once');
SELECT test.fails($$SELECT oms.start_saga('sql', '{"x": 2}', 'saga-sql-1')$$, 'OM008', 'the key with other data');
SELECT test.fails($$SELECT oms.start_saga('sql', '[]', test.key())$$, 'OM001', 'data that is no object');
SELECT test.fails($$SELECT oms.start_saga('sql', '{"steps": 1}', test.key())$$, 'OM001', 'data with a member that is ours');
SELECT test.fails($$SELECT oms.start_saga('sql', '{}', NULL)$$, 'OM007', 'no key');

-- An error is the step's failure. What the function wrote is gone, what the transaction did before is not.
TRUNCATE saga.log;
SELECT saga.define('raise', '{"name": "a", "kind": "sql", "function": "saga.raise", "retry": {"attempts": 2, "base_ms": 1000, "jitter": 0}, "compensation": null}');
BEGIN;
INSERT INTO saga.log (line) VALUES ('before');
SELECT saga_id AS id, status, waits_for FROM oms.start_saga('raise', '{}', test.key()) \gset
INSERT INTO saga.log (line) VALUES ('behind');
COMMIT;
SELECT :'status', :'waits_for';
SELECT saga.log();
SELECT saga.steps(:id);
SELECT test.equal(oms.run_due(), 0, 'before its time nothing is due');
SET oms.now_override = '2026-03-01 10:00:01+00';
SELECT test.equal(oms.run_due(), 1, 'the retry is due');
SELECT saga.steps(:id);
SELECT status, failure FROM oms.saga WHERE saga_id = :id;

-- A retry that helps.
SELECT saga.define('twice', '{"name": "a", "kind": "sql", "function": "saga.raise_twice", "retry": {"base_ms": 100, "jitter": 0}, "compensation": null}');
SELECT saga_id AS id FROM oms.start_saga('twice', '{}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:00:02+00';
SELECT oms.run_due();
SET oms.now_override = '2026-03-01 10:00:03+00';
SELECT oms.run_due();
SELECT saga.steps(:id);

-- What a function can say.
SELECT saga.define('say', '{"name": "a", "kind": "sql", "function": "saga.say", "compensation": null}');
SELECT say, s.status, s.waits_for FROM unnest(ARRAY['{"$fail": "no"}', '{"$retry": "soon"}', '{"$later": "after lunch"}', '{"$unknown": "perhaps"}',
    '{"$task": 5}', '"text"', '[1]', 'null', '{"$fail": 7}']::jsonb[]) say, oms.start_saga('say', jsonb_build_object('say', say), test.key()) s;
SELECT DISTINCT t.error FROM oms.saga_step t JOIN oms.saga USING (saga_id) WHERE definition = 'say' AND t.error IS NOT NULL ORDER BY 1;

-- A function that vanishes, and one that changes its mind about its form.
CREATE FUNCTION saga.vanishing(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
SELECT saga.define('vanish', '{"name": "w", "kind": "wait", "signal": "go"}', '{"name": "a", "kind": "sql", "function": "saga.vanishing", "retry": {"attempts": 1}, "compensation": null}');
SELECT saga_id AS id FROM oms.start_saga('vanish', '{}', test.key()) \gset
SELECT saga_id AS other FROM oms.start_saga('vanish', '{}', test.key()) \gset
DROP FUNCTION saga.vanishing(jsonb);
SELECT status FROM oms.signal_saga(:id, 'go', NULL, test.key());
SELECT saga.steps(:id);
CREATE FUNCTION saga.vanishing(context jsonb) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
SELECT status FROM oms.signal_saga(:other, 'go', NULL, test.key());
SELECT saga.steps(:other);

-- wait: a signal that is sent first is kept for the step that will wait for it; the earliest is taken first; others stay.
SELECT saga.define('wait', '{"name": "first", "kind": "wait", "signal": "x"}', '{"name": "second", "kind": "wait", "signal": "y"}', '{"name": "third", "kind": "wait", "signal": "y"}');
SELECT saga_id AS id, waits_for FROM oms.start_saga('wait', '{}', test.key()) \gset
SELECT waits_for FROM oms.signal_saga(:id, 'y', '{"n": 1}', 'saga-wait-y1');
SELECT waits_for, replayed FROM oms.signal_saga(:id, 'y', '{"n": 1}', 'saga-wait-y1');
SELECT waits_for FROM oms.signal_saga(:id, 'z', '{"n": 9}', test.key());
SELECT waits_for FROM oms.signal_saga(:id, 'x', NULL, test.key());
SELECT status FROM oms.signal_saga(:id, 'y', '{"n": 2}', test.key());
SELECT (oms.saga_status(:id) -> 'data' -> 'steps')::text;
SELECT name, payload, taken_by IS NULL AS untaken FROM oms.saga_signal WHERE saga_id = :id ORDER BY signal_id;
SELECT test.fails(format('SELECT oms.signal_saga(%s, ''x'', NULL, test.key())', :id), 'OM003', 'a signal for a saga that is over');
SELECT test.fails('SELECT oms.signal_saga(999999, ''x'', NULL, test.key())', 'OM002', 'a signal for no saga');
SELECT saga.define('late', '{"name": "w", "kind": "wait", "signal": "x", "deadline_ms": 60000}');
SELECT saga.define('anyway', '{"name": "w", "kind": "wait", "signal": "x", "deadline_ms": 60000, "on_deadline": "continue"}');
SELECT saga_id AS late FROM oms.start_saga('late', '{}', test.key()) \gset
SELECT saga_id AS anyway FROM oms.start_saga('anyway', '{}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:01:02.999+00';
SELECT oms.run_due();
SELECT test.equal((SELECT count(*) FROM oms.saga WHERE saga_id IN (:late, :anyway) AND status = 'running'), 2, 'a moment before the deadline both wait');
SET oms.now_override = '2026-03-01 10:01:03+00';
SELECT oms.run_due();
SELECT definition, status, failure FROM oms.saga WHERE saga_id IN (:late, :anyway) ORDER BY 1;

-- timer: after a time that the definition, or the data, says.
SELECT saga.define('timer', '{"name": "t", "kind": "timer", "delay_ms": 1500}', '{"name": "u", "kind": "timer", "delay_path": "$.ms"}');
SELECT saga_id AS id, waits_for FROM oms.start_saga('timer', '{"ms": 500}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:01:04.5+00';
SELECT oms.run_due();
SELECT waits_for, wake_at FROM oms.saga WHERE saga_id = :id;
SET oms.now_override = '2026-03-01 10:01:05+00';
SELECT oms.run_due();
SELECT status FROM oms.saga WHERE saga_id = :id;
SELECT status FROM oms.start_saga('timer', '{"ms": "soon"}', test.key());

-- conditional: false, or neither true nor false, is skipped, which is no failure.
SELECT saga.define('if', '{"name": "c", "kind": "conditional", "when": "$.total > 100", "steps": [{"name": "a", "kind": "sql", "function": "saga.note", "compensation": null}, {"name": "b", "kind": "sql", "function": "saga.note", "compensation": null}]}',
    '{"name": "d", "kind": "conditional", "when": "$.steps.a.by == \"a\"", "steps": [{"name": "e", "kind": "sql", "function": "saga.note", "compensation": null}]}');
SELECT count(*) FROM unnest('{"{\"total\": 5}","{\"total\": \"many\"}","{}","{\"total\": 500}"}'::jsonb[]) data, oms.start_saga('if', data, test.key());
SELECT data ->> 'total', (SELECT string_agg(name || ' ' || status, ', ' ORDER BY step_id) FROM oms.saga_step t WHERE t.saga_id = s.saga_id), status
FROM oms.saga s WHERE definition = 'if' ORDER BY saga_id;

-- parallel: all children are begun; the step ends with the last.
SELECT saga.define('parallel', '{"name": "p", "kind": "parallel", "steps": [{"name": "a", "kind": "wait", "signal": "a"}, {"name": "b", "kind": "wait", "signal": "b"}, {"name": "c", "kind": "sql", "function": "saga.note", "compensation": null}]}',
    '{"name": "z", "kind": "sql", "function": "saga.note", "compensation": null}');
SELECT saga_id AS id, waits_for FROM oms.start_saga('parallel', '{}', test.key()) \gset
SELECT saga.steps(:id);
SELECT status, waits_for FROM oms.signal_saga(:id, 'b', NULL, test.key());
SELECT status, waits_for FROM oms.signal_saga(:id, 'a', NULL, test.key());

-- A step's function signals its own saga, where a step beside it is waiting already; and other steps do not take it.
CREATE FUNCTION saga.signal_own(context jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb((oms.signal_saga((context -> 'saga_id')::bigint, 'mine', '{"n": 1}', test.key())).status) $$;
SELECT saga.define('beside', '{"name": "p", "kind": "parallel", "steps": [{"name": "a", "kind": "wait", "signal": "other"}, {"name": "b", "kind": "wait", "signal": "mine"}, {"name": "c", "kind": "sql", "function": "saga.signal_own", "compensation": null}]}');
SELECT saga_id AS id, status, waits_for FROM oms.start_saga('beside', '{}', test.key()) \gset
SELECT :'status', :'waits_for', saga.steps(:id);
SELECT test.equal((SELECT signals FROM oms.saga WHERE saga_id = :id), 0, 'no signal is left');
SELECT status FROM oms.signal_saga(:id, 'other', NULL, test.key());

-- task: the payload tells the worker what for; the answer goes on in the transaction that brings it.
CREATE FUNCTION saga.request(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('please', context -> 'data' -> 'what') $$;
CREATE FUNCTION saga.judge(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF context -> 'result' ->> 'raise' IS NOT NULL THEN RAISE EXCEPTION 'cannot deal with it'; END IF;
    RETURN CASE WHEN context -> 'result' ->> 'good' = 'no' THEN '{"$fail": "not good"}'::jsonb ELSE jsonb_build_object('judged', true) END;
END $$;
SELECT saga.define('task', '{"name": "t", "kind": "task", "queue": "saga-q", "task": "do.it", "request": "saga.request", "result": "saga.judge", "deadline_ms": 60000, "retry": {"attempts": 2, "base_ms": 1000, "jitter": 0}, "compensation": {"function": "saga.note"}}',
    '{"name": "z", "kind": "wait", "signal": "z"}');
TRUNCATE saga.log;
SELECT saga_id AS id FROM oms.start_saga('task', '{"what": "coffee"}', test.key()) \gset
SELECT task_id, lease_epoch, kind, payload FROM saga.claim('saga-q') \gset
SELECT :'kind', :'payload';
SELECT test.equal((SELECT step_id >> 14 FROM oms.task WHERE task_id = :task_id), :id::bigint, 'the task knows its step');
SELECT status FROM oms.complete_task(:task_id, :lease_epoch, '{"good": "yes"}');
SELECT status, waits_for, data::text FROM oms.saga WHERE saga_id = :id;
-- The same answer again changes nothing.
SELECT status, replayed FROM oms.complete_task(:task_id, :lease_epoch, '{"good": "yes"}');
-- The judge refuses: a failure, and nothing to undo. The judge fails: the work was done, so it is undone.
SELECT saga_id AS id FROM oms.start_saga('task', '{}', test.key()) \gset
SELECT task_id, lease_epoch FROM saga.claim('saga-q') \gset
SELECT status FROM oms.complete_task(:task_id, :lease_epoch, '{"good": "no"}');
SELECT status, failure FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('task', '{}', test.key()) \gset
SELECT task_id, lease_epoch FROM saga.claim('saga-q') \gset
SELECT status FROM oms.complete_task(:task_id, :lease_epoch, '{"raise": true}');
SELECT status, failure FROM oms.saga WHERE saga_id = :id;
SELECT saga.log();
-- The worker's own no is a failure; attempts that are used up are one, too.
TRUNCATE saga.log;
SELECT saga_id AS id FROM oms.start_saga('task', '{}', test.key()) \gset
SELECT task_id, lease_epoch FROM saga.claim('saga-q') \gset
SELECT oms.fail_task(:task_id, :lease_epoch, 'never', false);
SELECT status, failure FROM oms.saga WHERE saga_id = :id;
-- Its deadline passes while nobody has ever had it: it did not happen. While somebody has it: nobody knows, and it is undone.
SELECT saga_id AS untouched FROM oms.start_saga('task', '{}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:02:05+00';
SELECT oms.run_due() > 0;
SELECT status, failure FROM oms.saga WHERE saga_id = :untouched;
SELECT test.equal(saga.log(), NULL, 'nothing was undone');
SELECT saga_id AS leased FROM oms.start_saga('task', '{}', test.key()) \gset
SELECT task_id, lease_epoch FROM oms.claim_tasks('saga-q', 1, interval '1 hour') \gset
SET oms.now_override = '2026-03-01 10:03:05+00';
SELECT oms.run_due() > 0;
SELECT status, failure FROM oms.saga WHERE saga_id = :leased;
SELECT test.equal(saga.log(), 'undo t 1', 'what may have been done was undone');
SELECT test.fails(format('SELECT oms.complete_task(%s, %s, ''{}'')', :task_id, :lease_epoch), 'OM022', 'the late answer');
-- With a question to ask, it is asked.
SELECT saga.define('ask', '{"name": "t", "kind": "task", "queue": "saga-q", "task": "do.it", "deadline_ms": 60000, "reconcile": {"queue": "saga-q", "task": "ask.it"}, "compensation": {"function": "saga.note"}}');
TRUNCATE saga.log;
SELECT outcome, status FROM unnest('{succeeded,failed,"who knows"}'::text[]) outcome, oms.start_saga('ask', jsonb_build_object('outcome', outcome), test.key());
SELECT count(*) FROM oms.claim_tasks('saga-q', 3, interval '1 hour');
SET oms.now_override = '2026-03-01 10:04:05+00';
SELECT oms.run_due() > 0;
SELECT DISTINCT status, regexp_replace(waits_for, '\d+', 'N') FROM oms.saga WHERE definition = 'ask';
SELECT count(*) FROM (SELECT oms.complete_task(task_id, lease_epoch, jsonb_build_object('outcome', payload -> 'data' -> 'outcome')) FROM oms.claim_tasks('saga-q', 3) WHERE kind = 'ask.it') x;
SELECT data ->> 'outcome', status, failure FROM oms.saga WHERE definition = 'ask' ORDER BY 1;
SELECT test.equal(saga.log(), 'undo t 1', 'only what nobody knows about was undone');

-- twophase: commit only when all are prepared; abort whoever is when one is not.
SELECT saga.define('two', '{"name": "t", "kind": "twophase", "participants": [
    {"name": "x", "prepare": {"function": "saga.note"}, "commit": {"function": "saga.note"}, "abort": {"function": "saga.note"}},
    {"name": "y", "prepare": {"queue": "saga-q", "task": "prepare.y"}, "commit": {"queue": "saga-q", "task": "commit.y"}, "abort": {"queue": "saga-q", "task": "abort.y"}}], "compensation": {"function": "saga.note"}}',
    '{"name": "z", "kind": "wait", "signal": "z"}');
TRUNCATE saga.log;
SELECT saga_id AS id FROM oms.start_saga('two', '{}', test.key()) \gset
SELECT task_id, lease_epoch, kind FROM saga.claim('saga-q') \gset
SELECT status FROM oms.complete_task(:task_id, :lease_epoch);
SELECT decided FROM oms.saga_step WHERE saga_id = :id AND name = 't';
SELECT saga.log();
SELECT task_id, lease_epoch, kind FROM saga.claim('saga-q') \gset
SELECT :'kind';
-- A commit that fails is tried again, for ever: it was decided.
SELECT oms.fail_task(:task_id, :lease_epoch, 'not now', false);
SELECT status, waits_for FROM oms.saga WHERE saga_id = :id;
-- A cancel waits until what was decided is done, and then undoes the whole.
SELECT status, waits_for FROM oms.cancel_saga(:id, 'second thoughts', test.key());
SET oms.now_override = '2026-03-01 11:04:05+00';
SELECT oms.run_due() > 0;
SELECT task_id, lease_epoch, kind FROM saga.claim('saga-q') \gset
SELECT status FROM oms.complete_task(:task_id, :lease_epoch);
SELECT status FROM oms.saga WHERE saga_id = :id;
SELECT saga.log();
TRUNCATE saga.log;
SELECT saga_id AS id FROM oms.start_saga('two', '{}', test.key()) \gset
SELECT task_id, lease_epoch, kind FROM saga.claim('saga-q') \gset
SELECT oms.fail_task(:task_id, :lease_epoch, 'cannot', false);
SELECT status, failure FROM oms.saga WHERE saga_id = :id;
SELECT saga.log();
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SELECT test.nothing($$SELECT * FROM oms.saga WHERE finished_at IS NULL AND (waits_for IS NULL OR wake_at IS NULL AND status <> 'parked')$$, 'whatever is not final has a reason and a time');
SELECT test.nothing($$SELECT * FROM oms.timer t WHERE kind = 6 AND NOT EXISTS (SELECT FROM oms.saga s WHERE s.saga_id = t.subject_id AND s.wake_at = t.due_at)$$, 'no timer is left of a saga that is over');
SET client_min_messages = warning;
DROP SCHEMA saga CASCADE;
