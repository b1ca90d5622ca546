-- Goal: what was done is undone in reverse order of completion, however often it takes; what cannot be undone is parked and reported while the others
-- go on; and only who is entitled turns a saga, where it can be turned.
-- Method: sagas that fail at every step, compensations that fail for a while or for good, cancel, compensate and resume in every status.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
CREATE SCHEMA saga;
CREATE TABLE saga.log (n serial, line text);
CREATE TABLE saga.broken (name text);
-- Fails for what is named in saga.broken, "do a" or "undo a".
CREATE FUNCTION saga.act(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    what text := format('%s %s', context ->> 'purpose', context ->> 'step');
BEGIN
    IF EXISTS (SELECT FROM saga.broken WHERE name = what) THEN RAISE EXCEPTION '% is broken', what; END IF;
    INSERT INTO saga.log (line) VALUES (what);
    RETURN NULL;
END $$;
CREATE FUNCTION saga.step(name text, retries int DEFAULT 1, barrier boolean DEFAULT false) RETURNS jsonb LANGUAGE sql
    RETURN jsonb_build_object('name', name, 'kind', 'sql', 'function', 'saga.act', 'retry', '{"attempts": 1}'::jsonb, 'compensation',
        jsonb_build_object('function', 'saga.act', 'retry', jsonb_build_object('attempts', retries, 'base_ms', 1000, 'jitter', 0), 'barrier', barrier));
CREATE FUNCTION saga.log() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT string_agg(line, ', ' ORDER BY n) FROM saga.log; END;
CREATE FUNCTION saga.define(name text, variadic steps jsonb[]) RETURNS int LANGUAGE sql
    RETURN oms.define_saga(name, jsonb_build_object('steps', to_jsonb(steps)));
CREATE FUNCTION saga.broken(variadic names text[] DEFAULT '{}') RETURNS void LANGUAGE sql BEGIN ATOMIC
    DELETE FROM saga.broken; DELETE FROM saga.log; INSERT INTO saga.broken SELECT unnest(names); END;
CREATE FUNCTION saga.outcomes(id bigint) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT string_agg(concat_ws(' ', name, status, outcome), ', ' ORDER BY step_id) FROM oms.saga_step WHERE saga_id = id; END;

-- Fails at each step in turn: what completed is undone backwards, what never began is not.
SELECT saga.define('chain', saga.step('a'), saga.step('b'), saga.step('c'), saga.step('d'));
CREATE FUNCTION saga.fail_at(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    PERFORM saga.broken('do ' || name);
    SELECT * INTO s FROM oms.start_saga('chain', '{}', test.key());
    RETURN format('%s: %s: %s', s.status, saga.log(), saga.outcomes(s.saga_id));
END $$;
SELECT saga.fail_at(name) FROM unnest('{a,b,c,d,none}'::text[]) name;

-- Children of a parallel step are compensated, too, in the order in which they completed and not in that of the definition.
SELECT saga.define('fork', saga.step('a'), jsonb_build_object('name', 'p', 'kind', 'parallel', 'steps', jsonb_build_array(
        jsonb_build_object('name', 'slow', 'kind', 'conditional', 'when', '1 == 1', 'steps', jsonb_build_array('{"name": "w", "kind": "wait", "signal": "go"}'::jsonb, saga.step('x'))),
        saga.step('y'))), saga.step('z'));
SELECT saga.broken('do z');
SELECT saga_id AS id FROM oms.start_saga('fork', '{}', test.key()) \gset
SELECT status FROM oms.signal_saga(:id, 'go', NULL, test.key());
SELECT saga.log();
SELECT saga.outcomes(:id);
SELECT type, step, reason FROM oms.saga_history(:id) ORDER BY seq;
-- A child that fails while its sibling waits: the wait is ended, the saga goes back.
SELECT saga.define('race', saga.step('a'), jsonb_build_object('name', 'p', 'kind', 'parallel', 'steps', jsonb_build_array('{"name": "w", "kind": "wait", "signal": "go"}'::jsonb,
        '{"name": "t", "kind": "task", "queue": "saga-undo", "task": "t", "compensation": null}'::jsonb, saga.step('y'))));
SELECT saga.broken('do y');
SELECT saga_id AS id, status FROM oms.start_saga('race', '{}', test.key()) \gset
SELECT :'status', saga.log(), saga.outcomes(:id);
SELECT test.equal((SELECT array_agg(status ORDER BY task_id) FROM oms.task WHERE queue = 'saga-undo'), '{dead}', 'its task was withdrawn');

-- A compensation that fails is tried again, and then it works.
SELECT saga.define('stubborn', saga.step('a'), saga.step('b', 3), saga.step('c'), saga.step('d'));
SELECT saga.broken('do d', 'undo b');
SELECT saga_id AS id, status, waits_for FROM oms.start_saga('stubborn', '{}', test.key()) \gset
SELECT :'status', :'waits_for', saga.log();
DELETE FROM saga.broken;
SET oms.now_override = '2026-03-01 10:00:01+00';
SELECT oms.run_due();
SELECT status, saga.log(), saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;

-- One that never works is parked and reported; the others go on.
SELECT saga.broken('do d', 'undo b');
SELECT saga_id AS id FROM oms.start_saga('stubborn', '{}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:00:02+00';
SELECT oms.run_due();
SET oms.now_override = '2026-03-01 10:00:05+00';
SELECT oms.run_due();
SELECT status, waits_for, saga.log(), saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
SELECT what, id = :'id' AS this, since, why, replace(what_to_do, :'id', 'ID') FROM oms.stuck WHERE definition = 'stubborn';
SELECT test.fails(format('SELECT oms.cancel_saga(%s, ''x'', test.key())', :id), 'OM003', 'a parked saga is not canceled');
SELECT test.fails(format('SELECT oms.compensate_saga(%s, ''x'', test.key())', :id), 'OM003', 'a parked saga is not compensated anew');
-- Resumed in vain, and with success.
SELECT status, waits_for FROM oms.resume_saga(:id, 'let us see', 'saga-resume-1');
SELECT status, replayed FROM oms.resume_saga(:id, 'let us see', 'saga-resume-1');
SET oms.now_override = '2026-03-01 10:00:06+00';
SELECT oms.run_due();
SET oms.now_override = '2026-03-01 10:00:08+00';
SELECT oms.run_due();
SELECT status FROM oms.saga WHERE saga_id = :id;
DELETE FROM saga.broken;
SELECT status FROM oms.resume_saga(:id, 'repaired', test.key());
SELECT saga.log(), saga.outcomes(:id);
SELECT test.fails(format('SELECT oms.resume_saga(%s, ''x'', test.key())', :id), 'OM021', 'a saga that is over is not resumed');
SELECT object = 'saga ' || :'id' AS this, reason, before, after FROM oms.audit WHERE operation = 'resume_saga' AND object = 'saga ' || :'id' ORDER BY audit_id;
SELECT test.nothing($$SELECT * FROM oms.stuck WHERE definition = 'stubborn'$$, 'nothing is stuck');
-- Undone by hand.
SELECT saga.define('hand', saga.step('a'), saga.step('b'), saga.step('c'));
SELECT saga.broken('do c', 'undo b');
SELECT saga_id AS id, status FROM oms.start_saga('hand', '{}', test.key()) \gset
SELECT :'status', saga.log();
SELECT status FROM oms.resume_saga(:id, 'the bank has called', test.key(), by_hand => true);
SELECT saga.outcomes(:id);
-- What the definition wants recorded of it is recorded; where that fails the saga stays parked, and nothing of it counts.
CREATE FUNCTION saga.note(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO saga.log (line) VALUES (format('%s %s: %s', context ->> 'purpose', context ->> 'step', context ->> 'reason'));
    IF EXISTS (SELECT FROM saga.broken WHERE name = 'note') THEN RETURN '{"$fail": "the books are closed"}'; END IF;
    IF EXISTS (SELECT FROM saga.broken WHERE name = 'note raises') THEN RAISE EXCEPTION 'no books'; END IF;
    RETURN NULL;
END $$;
SELECT saga.define('noted', jsonb_set(saga.step('a'), '{compensation,by_hand}', '"saga.note"'), saga.step('b'), saga.step('c'));
SELECT saga.broken('do c', 'undo a', 'undo b', 'note');
SELECT saga_id AS id, status FROM oms.start_saga('noted', '{}', test.key()) \gset
SELECT :'status', saga.log();
SELECT message = format('saga %s cannot take step a for undone by hand', :'id'), detail FROM test.outcome(format('SELECT oms.resume_saga(%s, ''paid in cash'', test.key(), by_hand => true)', :id));
SELECT test.fails(format('SELECT oms.resume_saga(%s, ''paid in cash'', test.key(), by_hand => true)', :id), 'OM021', 'what cannot be recorded');
UPDATE saga.broken SET name = 'note raises' WHERE name = 'note';
SELECT detail FROM test.outcome(format('SELECT oms.resume_saga(%s, ''paid in cash'', test.key(), by_hand => true)', :id));
SELECT status, saga.log(), saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;
DELETE FROM saga.broken WHERE name LIKE 'note%';
SELECT status FROM oms.resume_saga(:id, 'paid in cash', test.key(), by_hand => true);
SELECT saga.log(), saga.outcomes(:id);

-- A barrier: what completed before waits until it is undone.
SELECT saga.define('barrier', saga.step('goods'), saga.step('money', 1, true), saga.step('mail'), saga.step('end'));
SELECT saga.broken('do end', 'undo money');
SELECT saga_id AS id, status FROM oms.start_saga('barrier', '{}', test.key()) \gset
SELECT :'status', saga.log(), saga.outcomes(:id);
DELETE FROM saga.broken;
SELECT status, saga.log() FROM oms.resume_saga(:id, 'the bank is back', test.key());
SELECT saga.log();

-- Compensation by task; the worker's no parks it.
SELECT saga.define('by_task', '{"name": "a", "kind": "sql", "function": "saga.act", "compensation": {"queue": "saga-undo", "task": "undo.a"}}', '{"name": "w", "kind": "wait", "signal": "go"}');
SELECT saga.broken();
SELECT saga_id AS id FROM oms.start_saga('by_task', '{}', test.key()) \gset
SELECT status, regexp_replace(waits_for, '\d+', 'N') FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT task_id, lease_epoch, kind, payload ->> 'purpose' AS purpose FROM oms.claim_tasks('saga-undo', 1) \gset
SELECT :'kind', :'purpose';
SELECT oms.fail_task(:task_id, :lease_epoch, 'cannot', false);
SELECT status FROM oms.saga WHERE saga_id = :id;
SELECT status FROM oms.resume_saga(:id, 'again', test.key());
SELECT task_id, lease_epoch FROM oms.claim_tasks('saga-undo', 1) \gset
SELECT status FROM oms.complete_task(:task_id, :lease_epoch, '{}');
SELECT status, canceled, failure FROM oms.saga WHERE saga_id = :id;
SELECT type, reason FROM oms.saga_history(:id) WHERE type LIKE 'saga.%' ORDER BY seq;

-- Cancel and compensate, in every status.
SELECT saga.define('done', saga.step('a'), saga.step('b'));
SELECT saga.broken();
SELECT saga_id AS done FROM oms.start_saga('done', '{}', test.key()) \gset
SELECT test.fails(format('SELECT oms.cancel_saga(%s, ''x'', test.key())', :done), 'OM003', 'a completed saga is not canceled');
SELECT test.fails(format('SELECT oms.resume_saga(%s, ''x'', test.key())', :done), 'OM021', 'a completed saga is not resumed');
SELECT status FROM oms.compensate_saga(:done, 'the customer has died', test.key());
SELECT saga.log(), saga.outcomes(:done);
SELECT test.fails(format('SELECT oms.compensate_saga(%s, ''x'', test.key())', :done), 'OM003', 'a compensated saga is not compensated');
SELECT test.fails(format('SELECT oms.cancel_saga(%s, ''x'', test.key())', :done), 'OM003', 'a compensated saga is not canceled');
SELECT saga.define('open', saga.step('a'), '{"name": "w", "kind": "wait", "signal": "go"}');
SELECT saga_id AS open FROM oms.start_saga('open', '{}', test.key()) \gset
SELECT test.fails(format('SELECT oms.cancel_saga(%s, NULL, test.key())', :open), 'OM001', 'a cancel without a reason');
SELECT test.fails(format('SELECT oms.cancel_saga(%s, ''x'', NULL)', :open), 'OM007', 'a cancel without a key');
SELECT test.fails('SELECT oms.cancel_saga(NULL, ''x'', test.key())', 'OM001', 'a cancel of nothing');
SELECT test.fails('SELECT oms.compensate_saga(-1, ''x'', test.key())', 'OM002', 'a compensation of nothing');
SELECT status, replayed FROM oms.cancel_saga(:open, 'x', 'saga-cancel-1');
SELECT status, replayed FROM oms.cancel_saga(:open, 'x', 'saga-cancel-1');

-- The deadline of the whole saga turns it back.
SELECT oms.define_saga('short', jsonb_build_object('deadline_ms', 60000, 'steps', jsonb_build_array(saga.step('a'), '{"name": "w", "kind": "wait", "signal": "go", "deadline_ms": 600000}'::jsonb)));
SELECT saga.broken();
SELECT saga_id AS id, deadline_at FROM oms.start_saga('short', '{}', test.key()) \gset
SET oms.now_override = '2026-03-01 10:01:08+00';
SELECT oms.run_due();
SELECT status, failure, saga.log() FROM oms.saga WHERE saga_id = :id;

-- A saga that starts itself ends with an error of its step; one that calls for its own end is refused; one that signals itself is heard.
CREATE FUNCTION saga.start_self(context jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(oms.start_saga('self', '{}', format('self %s', context -> 'step_id'))) $$;
SELECT oms.define_saga('self', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.start_self", "retry": {"attempts": 1}, "compensation": null}]}');
SELECT status FROM oms.start_saga('self', '{}', test.key());
SELECT status, count(*) FROM oms.saga WHERE definition = 'self' GROUP BY 1;
SELECT error FROM oms.saga_step WHERE name = 'a' AND error ~ 'deep' LIMIT 1;
CREATE FUNCTION saga.cancel_self(context jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(oms.cancel_saga((context -> 'saga_id')::bigint, 'me', test.key())) $$;
SELECT oms.define_saga('suicide', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.cancel_self", "retry": {"attempts": 1}, "compensation": null}]}');
SELECT saga_id AS id, status FROM oms.start_saga('suicide', '{}', test.key()) \gset
SELECT error ~ 'OM005' FROM oms.saga_step WHERE saga_id = :id;
CREATE FUNCTION saga.signal_self(context jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb((oms.signal_saga((context -> 'saga_id')::bigint, 'go', '{"from": "myself"}', test.key())).status) $$;
SELECT oms.define_saga('echo', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.signal_self", "compensation": null}, {"name": "w", "kind": "wait", "signal": "go"}]}');
SELECT saga_id AS id, status FROM oms.start_saga('echo', '{}', test.key()) \gset
SELECT oms.saga_status(:id) -> 'data' ->> 'steps';
-- After an error inside one saga the session forgets that it was advancing it.
SELECT status FROM oms.start_saga('done', '{}', test.key());

-- A task whose last attempt failed, after one that nobody answered: the work may have been done, or may be yet, so it is undone. The word of a
-- worker that it can never be done is a no for his own attempt alone.
SELECT oms.define_saga('outside', '{"steps": [{"name": "ship", "kind": "task", "queue": "saga-ship", "task": "ship", "retry": {"attempts": 2, "base_ms": 0},
    "compensation": {"queue": "saga-ship", "task": "take back"}}]}');
SET oms.now_override = '2026-03-01 10:02:00+00';
SELECT saga_id AS id FROM oms.start_saga('outside', '{}', test.key()) \gset
SELECT attempt FROM oms.claim_tasks('saga-ship', lease => '1 second');
SET oms.now_override = '2026-03-01 10:02:02+00';
SELECT oms.fail_task(task_id, lease_epoch, 'cannot be reached', true) FROM oms.claim_tasks('saga-ship');
SELECT status, saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-ship');
SELECT status, saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('outside', '{}', test.key()) \gset
SELECT attempt FROM oms.claim_tasks('saga-ship', lease => '1 second');
SET oms.now_override = '2026-03-01 10:02:04+00';
SELECT oms.fail_task(task_id, lease_epoch, 'there is no such address', false) FROM oms.claim_tasks('saga-ship');
SELECT status, saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-ship');
SELECT status, saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('outside', '{}', test.key()) \gset
SELECT attempt, oms.fail_task(task_id, lease_epoch, 'there is no such address', false) FROM oms.claim_tasks('saga-ship');
SELECT status, saga.outcomes(:id) FROM oms.saga WHERE saga_id = :id;

-- 10,000 steps, and back.
SELECT saga.broken('do s10000');
SELECT oms.define_saga('long', jsonb_build_object('steps', jsonb_agg(saga.step('s' || n) ORDER BY n))) FROM generate_series(1, 10000) n;
SELECT saga_id AS id, status FROM oms.start_saga('long', '{}', test.key()) \gset
SELECT :'status', (SELECT count(*) FROM oms.saga_step WHERE saga_id = :id AND outcome = 'done');
SELECT test.equal((SELECT array_agg(line ORDER BY n) FROM saga.log WHERE line LIKE 'undo%'), (SELECT array_agg('undo s' || n ORDER BY n DESC) FROM generate_series(1, 9999) n), 'undone in reverse order');

-- Several that failed: resumed they are undone in the same order as before, one at a time, and a clock has nothing to do meanwhile.
CREATE FUNCTION saga.outside(name text, queue text) RETURNS jsonb LANGUAGE sql
    RETURN jsonb_build_object('name', name, 'kind', 'task', 'queue', queue, 'task', 'do ' || name, 'retry', '{"attempts": 2, "base_ms": 0}'::jsonb,
        'compensation', jsonb_build_object('queue', queue, 'task', 'undo ' || name, 'retry', '{"attempts": 1}'::jsonb));
SELECT saga.define('both', saga.outside('a', 'saga-both'), saga.outside('b', 'saga-both'), '{"name": "w", "kind": "wait", "signal": "go"}');
SELECT saga_id AS id FROM oms.start_saga('both', '{}', test.key()) \gset
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-both');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-both');
SELECT status FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT kind, oms.fail_task(task_id, lease_epoch, 'not now', false) FROM oms.claim_tasks('saga-both');
SELECT kind, oms.fail_task(task_id, lease_epoch, 'not now', false) FROM oms.claim_tasks('saga-both');
SELECT status, regexp_replace(waits_for, '\d+', 'N') FROM oms.resume_saga(:id, 'now', test.key());
SELECT test.equal(oms.run_due(), 0, 'nothing is due');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-both', 9);
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-both', 9);
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;

-- A lease that ended without an answer leaves a doubt: who had it may yet do the work. So the step is undone, whatever comes later but success.
SELECT saga.define('doubt', saga.outside('a', 'saga-doubt'));
CREATE FUNCTION saga.lost_lease() RETURNS TABLE (id bigint, status text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('oms.now_override', '2026-03-01 10:02:10+00', false);
    SELECT saga_id INTO id FROM oms.start_saga('doubt', '{}', test.key());
    PERFORM FROM oms.claim_tasks('saga-doubt', lease => '10 seconds');
    PERFORM set_config('oms.now_override', '2026-03-01 10:02:20+00', false);
    PERFORM oms.run_due();
    SELECT s.status INTO status FROM oms.saga s WHERE saga_id = id;
    RETURN NEXT;
END $$;
SELECT id FROM saga.lost_lease() \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'no connection') FROM oms.claim_tasks('saga-doubt');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Refused: whoever was first may have done it before.
SELECT id FROM saga.lost_lease() \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'no', false) FROM oms.claim_tasks('saga-doubt');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- The same when the first one failed for now: that it may pass does not say that nothing was done.
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'connection reset') FROM oms.claim_tasks('saga-doubt');
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'no', false) FROM oms.claim_tasks('saga-doubt');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Only who says that he has done nothing leaves no doubt: neither with another attempt to come, nor with the last one, nor when it is withdrawn in between.
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true), task_id, lease_epoch FROM oms.claim_tasks('saga-doubt') \gset
SELECT oms.fail_task(:task_id, :lease_epoch, 'said again', nothing_done => true);
SELECT kind FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'no', false) FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT status FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
SELECT test.equal((SELECT count(*) FROM oms.claim_tasks('saga-doubt', 9)), 0::bigint, 'there is nothing to undo');
-- He speaks for himself alone: a doubt of before remains, and one of later comes.
SELECT id FROM saga.lost_lease() \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'connection reset') FROM oms.claim_tasks('saga-doubt');
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Withdrawn while somebody has it again.
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
SELECT kind, attempt, oms.fail_task(task_id, lease_epoch, 'could not connect', nothing_done => true) FROM oms.claim_tasks('saga-doubt');
SELECT kind, attempt FROM oms.claim_tasks('saga-doubt');
SELECT status FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Another task for the same step, which nobody ever had.
SELECT id FROM saga.lost_lease() \gset
SELECT kind, attempt, (oms.complete_task(task_id, lease_epoch, '{"$retry": "later"}')).status FROM oms.claim_tasks('saga-doubt');
SELECT waits_for ~ 'task .* of step a' FROM oms.saga WHERE saga_id = :id;
SELECT status FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Done after all.
SELECT id FROM saga.lost_lease() \gset
SELECT kind, attempt, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;
-- Whether anybody had a step's work is on the disk as soon as the claim has committed: a crash must not turn it into work that nobody had.
SELECT saga_id AS id FROM oms.start_saga('doubt', '{}', test.key()) \gset
BEGIN;
SELECT kind FROM oms.claim_tasks('saga-doubt');
SELECT pg_current_wal_insert_lsn() AS claimed \gset
COMMIT;
SELECT test.ok(:'claimed' <= pg_current_wal_flush_lsn(), 'the claim is on the disk');
SELECT status FROM oms.cancel_saga(:id, 'no more', test.key());
SELECT kind, (oms.complete_task(task_id, lease_epoch)).status FROM oms.claim_tasks('saga-doubt');
SELECT status, saga.outcomes(saga_id) FROM oms.saga WHERE saga_id = :id;

SELECT test.nothing($$SELECT * FROM oms.saga_step t JOIN oms.saga s USING (saga_id) WHERE s.status = 'compensated' AND (t.status = 'completed' OR t.unknown AND t.status = 'failed')$$,
    'a compensated saga has an outcome for every step that was completed');
SELECT count(*) > 0 FROM oms.list_sagas('{"status": ["compensated", "completed"], "definition": "chain"}');
SELECT DISTINCT name FROM oms.saga_metrics() ORDER BY 1;

-- What is counted: how a saga ended for the first time, and never less than before, whatever is done to it later.
CREATE FUNCTION saga.counted(of text) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT string_agg(regexp_replace(name, 'oms_(saga_)?(.*?)(_total)?$', '\2') || ' ' || value, ', ' ORDER BY name) FROM oms.saga_metrics()
    WHERE labels ->> 'definition' = of AND name !~ 'seconds_sum|step'; END;
SELECT saga.define('counted', saga.step('a'), '{"name": "w", "kind": "wait", "signal": "go"}', saga.step('b'));
SELECT saga.broken();
SELECT saga_id AS undone FROM oms.start_saga('counted', '{}', test.key()) \gset
SELECT status FROM oms.signal_saga(:undone, 'go', NULL, test.key());
SELECT saga.counted('counted');
SELECT status FROM oms.compensate_saga(:undone, 'sent back', test.key());
SELECT saga.counted('counted');
SELECT saga_id AS canceled FROM oms.start_saga('counted', '{}', test.key()) \gset
SELECT status FROM oms.cancel_saga(:canceled, 'not wanted', test.key());
SELECT saga_id AS stopped FROM oms.start_saga('counted', '{}', test.key()) \gset
SELECT status FROM oms.compensate_saga(:stopped, 'not wanted either', test.key());
SELECT type FROM oms.saga_history(:stopped) WHERE type LIKE 'saga.%' ORDER BY seq;
SELECT saga.broken('do b');
SELECT saga_id AS failed FROM oms.start_saga('counted', '{}', test.key()) \gset
SELECT status FROM oms.signal_saga(:failed, 'go', NULL, test.key());
SELECT saga.counted('counted');
SELECT key, status, canceled, failure, completed_at IS NOT NULL AS completed FROM oms.list_sagas('{"definition": "counted"}') ORDER BY saga_id;
SELECT failure FROM oms.list_sagas('{"definition": "counted", "canceled": true}') ORDER BY saga_id;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SET client_min_messages = warning;
DROP SCHEMA saga CASCADE;
