-- Goal: a task goes through its machine and no other way; leases are fenced; answers are idempotent; a claim costs what it takes.
-- Method: every transition by hand under a clock of our own; every late, repeated, foreign and malformed answer; pages touched by a claim.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET oms.now_override = '2030-01-01 12:00:00+00';

-- ready -> leased -> done, with what the worker is told.
SELECT oms.create_task('mail', 'welcome', '{"to": "a"}', 'mail-1', provider_key => 'p-1') AS one \gset
SELECT test.equal(oms.create_task('mail', 'welcome', '{"to": "a"}', 'mail-1', provider_key => 'p-1'), :one, 'the same request is the same task');
SELECT test.fails($$SELECT oms.create_task('mail', 'welcome', '{"to": "b"}', 'mail-1')$$, 'OM008', 'another request under its key');
SELECT test.equal((SELECT count(*) FROM oms.task WHERE queue = 'mail'), 1::bigint, 'one task');
SELECT kind, payload, attempt, lease_until, deadline_at, provider_key, step_id FROM oms.claim_tasks('mail', 5);
SELECT lease_epoch AS e FROM oms.task WHERE task_id = :one \gset
SELECT test.equal((SELECT count(*) FROM oms.claim_tasks('mail', 5)), 0::bigint, 'a leased task is not handed out again');
SELECT * FROM oms.complete_task(:one, :e, '{"id": 7}');
SELECT * FROM oms.complete_task(:one, :e, '{"id": 8}');
SELECT status, result, attempt, lease_until FROM oms.task WHERE task_id = :one;
SELECT test.fails(format('SELECT oms.fail_task(%s, %s, ''no'')', :one, :e), 'OM022', 'done is not failed later');
SELECT test.fails(format('SELECT oms.heartbeat_task(%s, %s)', :one, :e), 'OM022', 'nothing to prolong when it is done');
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :one, :e + 1), 'OM022', 'another epoch');
SELECT test.fails(format('SELECT oms.complete_task(%s, 0)', :one), 'OM022', 'the epoch of a task that nobody had');

-- leased -> ready -> leased: a failure that may be retried, after its backoff.
SELECT oms.create_task('mail', 'k', '{}', 'mail-2', retry => '{"attempts_max": 3, "base_ms": 1000, "factor": 2, "jitter": 0}') AS two \gset
SELECT lease_epoch AS e FROM oms.claim_tasks('mail') \gset
SELECT oms.fail_task(:two, :e, 'timeout');
SELECT oms.fail_task(:two, :e, 'timeout, said again');
SELECT status, attempt, run_at, position IS NULL AS waits, last_error FROM oms.task WHERE task_id = :two;
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :two, :e), 'OM022', 'failed is not done later');
SELECT test.equal((SELECT count(*) FROM oms.claim_tasks('mail')), 0::bigint, 'not before its time');
SET oms.now_override = '2030-01-01 12:00:01+00';
SELECT attempt, lease_epoch > :e AS higher FROM oms.claim_tasks('mail') \gset later_
SELECT :later_attempt AS attempt, :'later_higher' AS higher;
SELECT lease_epoch AS e2 FROM oms.task WHERE task_id = :two \gset
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :two, :e), 'OM022', 'the first lease is over');
SELECT oms.fail_task(:two, :e2, 'timeout');
SELECT run_at FROM oms.task WHERE task_id = :two;
-- The last attempt: dead. Replayed with a fresh count, and audited.
SET oms.now_override = '2030-01-01 12:00:03+00';
SELECT lease_epoch AS e3 FROM oms.claim_tasks('mail') \gset
SELECT oms.fail_task(:two, :e3, 'gone');
SELECT oms.fail_task(:two, :e3, 'gone');
SELECT status, attempt, last_error FROM oms.task WHERE task_id = :two;
SELECT test.fails('SELECT * FROM oms.replay_tasks()', 'OM001', 'replay of nothing in particular');
SELECT test.fails($$SELECT * FROM oms.replay_tasks(filter => '{}', dry_run => false)$$, 'OM001', 'replay without a reason');
SELECT queue, kind, attempt, last_error FROM oms.replay_tasks(filter => '{"queue": "mail"}');
SELECT status FROM oms.task WHERE task_id = :two;
SELECT queue FROM oms.replay_tasks(ARRAY[:two, :one], dry_run => false, reason => 'provider is back');
SELECT status, attempt, last_error FROM oms.task WHERE task_id = :two;
SELECT operation, object = 'task ' || :two AS object, reason, before, after FROM oms.audit WHERE operation = 'replay_tasks';
SELECT test.fails(format('SELECT oms.fail_task(%s, %s, ''gone'')', :two, :e3), 'OM022', 'the answer of before the replay');
SELECT attempt, lease_epoch > :e3 AS higher FROM oms.claim_tasks('mail');

-- Not retryable: dead at once. A deadline that the next attempt would pass: dead too.
SELECT oms.create_task('dead', 'k', '{}', 'dead-1') AS t \gset
SELECT oms.fail_task(:t, lease_epoch, 'card stolen', false) FROM oms.claim_tasks('dead');
SELECT oms.create_task('dead', 'k', '{}', 'dead-2', deadline_at => '2030-01-01 12:00:03.5+00', retry => '{"jitter": 0}') AS t \gset
SELECT oms.fail_task(:t, lease_epoch, 'timeout') FROM oms.claim_tasks('dead');

-- A lease that ends: the task is ready again, the late answer refused. A heartbeat moves the end.
SELECT count(oms.create_task('lease', 'k', '{}', 'lease-' || i)) FROM generate_series(1, 2) i;
SELECT min(task_id) AS a, max(task_id) AS b, min(lease_epoch) AS e FROM oms.claim_tasks('lease', 2, '10 seconds') \gset
SET oms.now_override = '2030-01-01 12:00:08+00';
SELECT oms.heartbeat_task(:b, :e, '20 seconds');
SELECT test.equal(oms.heartbeat_task(:b, :e, '1 second'), '2030-01-01 12:00:28+00', 'a heartbeat never shortens');
SET oms.now_override = '2030-01-01 12:00:13+00';
SELECT task_id = :a AS the_first, attempt FROM oms.claim_tasks('lease', 5, '1 hour');
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :a, :e), 'OM022', 'late worker after the end of the lease');
SELECT status FROM oms.complete_task(:b, :e);
SELECT task_id = :a AS it, outcome FROM oms.complete_tasks(ARRAY[:a, :b, :b, 999999], ARRAY[:e, :e, :e, :e]);

-- Attempts used up by leases that end: dead, and nobody knows whether the work was done.
SELECT oms.create_task('lost', 'k', '{}', 'lost-1', retry => '{"attempts_max": 1}') AS t \gset
SELECT count(*) FROM oms.claim_tasks('lost', 1, '1 second');
SET oms.now_override = '2030-01-01 12:01:00+00';
SELECT oms.run_due() > 0 AS due;
SELECT status, last_error FROM oms.task WHERE task_id = :t;

-- By priority, then in order.
SELECT count(oms.create_task('order', 'p' || p || n, '{}', 'order-' || p || n, priority => p)) FROM (VALUES (5, 1), (0, 1), (0, 2), (-3, 1), (5, 2)) v(p, n);
SELECT string_agg(kind, ' ') FROM oms.claim_tasks('order', 4);
SELECT kind FROM oms.claim_tasks('order', 4);

-- At its time, not before.
SELECT oms.create_task('later', 'k', '{}', 'later-1', run_at => '2030-01-01 13:00:00+00') AS t \gset
SELECT count(*) FROM oms.claim_tasks('later');
SET oms.now_override = '2030-01-01 13:00:00+00';
SELECT count(*) FROM oms.claim_tasks('later');

-- A limit on leases, and a pause.
INSERT INTO oms.queue (queue, leased_max) VALUES ('few', 2);
SELECT count(oms.create_task('few', 'k', '{}', 'few-' || i)) FROM generate_series(1, 4) i;
SELECT min(task_id) AS t, min(lease_epoch) AS e, count(*) FROM oms.claim_tasks('few', 10) \gset
SELECT :count AS leased, (SELECT count(*) FROM oms.claim_tasks('few', 10)) AS more;
SELECT status FROM oms.complete_task(:t, :e);
SELECT count(*) FROM oms.claim_tasks('few', 10);
UPDATE oms.queue SET paused = true, leased_max = NULL WHERE queue = 'few';
SELECT count(*) FROM oms.claim_tasks('few', 10);
UPDATE oms.queue SET paused = false WHERE queue = 'few';
SELECT count(*) FROM oms.claim_tasks('few', 10);

-- Withdrawn: a late answer is refused; closed ones stay as they are.
SELECT count(oms.create_task('cancel', 'k', '{}', 'cancel-' || i)) FROM generate_series(1, 2) i;
SELECT task_id AS t, lease_epoch AS e FROM oms.claim_tasks('cancel') \gset
SELECT oms.cancel_task(:t, 'not wanted'), oms.cancel_task(:t, 'not wanted');
SELECT test.fails(format('SELECT oms.complete_task(%s, %s)', :t, :e), 'OM022', 'the answer of a withdrawn task');
SELECT oms.cancel_task(:t + 1, 'not wanted');
SELECT count(*) FROM oms.claim_tasks('cancel');

-- What is rolled back was never claimed; in one transaction, too.
SELECT count(oms.create_task('rollback', 'k', '{}', 'rollback-' || i)) FROM generate_series(1, 3) i;
BEGIN;
SELECT count(*) FROM oms.claim_tasks('rollback', 2);
ROLLBACK;
SELECT count(*) FROM oms.claim_tasks('rollback', 1);
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM oms.claim_tasks('rollback', 2);
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM oms.claim_tasks('rollback', 5);

-- Claim, work, answer and what follows in one transaction; and everything at once.
BEGIN;
SELECT oms.create_task('inside', 'k', '{}', 'inside-1') AS t \gset
SELECT lease_epoch AS e FROM oms.claim_tasks('inside') \gset
SELECT status FROM oms.complete_task(:t, :e);
COMMIT;

-- Bad input.
SELECT test.fails(statement, state, statement) FROM (VALUES
    ($$SELECT oms.claim_tasks(NULL)$$, 'OM001'), ($$SELECT oms.claim_tasks('')$$, 'OM001'), ($$SELECT oms.claim_tasks(repeat('q', 101))$$, 'OM001'),
    ($$SELECT oms.claim_tasks('mail', 0)$$, 'OM001'), ($$SELECT oms.claim_tasks('mail', -1)$$, 'OM001'), ($$SELECT oms.claim_tasks('mail', 10001)$$, 'OM001'),
    ($$SELECT oms.claim_tasks('mail', 1, '0')$$, 'OM001'), ($$SELECT oms.claim_tasks('mail', 1, '-1 second')$$, 'OM001'), ($$SELECT oms.claim_tasks('mail', 1, '178000000 years')$$, 'OM001'),
    ($$SELECT oms.create_task('mail', 'k', '{}')$$, 'OM007'), ($$SELECT oms.create_task('mail', NULL, '{}', 'x')$$, 'OM001'), ($$SELECT oms.create_task('mail', 'k', NULL, 'x')$$, 'OM001'),
    ($$SELECT oms.create_task('mail', 'k', '{}', 'x', priority => 1001)$$, 'OM001'), ($$SELECT oms.create_task('mail', 'k', '{}', 'x', run_at => 'infinity')$$, 'OM001'),
    ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '[]')$$, 'OM001'), ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '{"attempts_max": 0}')$$, 'OM001'),
    ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '{"attempts_max": 1.5}')$$, 'OM001'), ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '{"jitter": 2}')$$, 'OM001'),
    ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '{"factor": 1e400}')$$, 'OM001'), ($$SELECT oms.create_task('mail', 'k', '{}', 'x', retry => '{"what": 2}')$$, 'OM001'),
    ($$SELECT oms.complete_task(NULL, 1)$$, 'OM001'), ($$SELECT oms.complete_task(1, NULL)$$, 'OM001'), ($$SELECT oms.complete_task(-5, 1)$$, 'OM002'),
    ($$SELECT oms.fail_task(999999999, 1, 'x')$$, 'OM002'), ($$SELECT oms.fail_task(1, 1, '')$$, 'OM001'), ($$SELECT oms.fail_task(1, 1, repeat('x', 10001))$$, 'OM001'),
    ($$SELECT oms.heartbeat_task(999999999, 1)$$, 'OM002'), ($$SELECT oms.get_task(999999999)$$, 'OM002'), ($$SELECT oms.cancel_task(999999999, 'x')$$, 'OM002'),
    ($$SELECT oms.complete_tasks(NULL, NULL)$$, 'OM001'), ($$SELECT oms.complete_tasks('{1}', '{1,2}')$$, 'OM001'), ($$SELECT oms.complete_tasks('{NULL}', '{1}')$$, 'OM001'),
    ($$SELECT oms.complete_tasks('{{1,2},{3,4}}', '{1,2,3,4}')$$, 'OM001'), ($$SELECT oms.complete_tasks('{1}', '{1}', '{}')$$, 'OM001'), ($$SELECT oms.complete_tasks('{1}', '{1}', '[1, 2]')$$, 'OM001'),
    ($$SELECT oms.list_tasks('{"what": 1}')$$, 'OM001'), ($$SELECT oms.list_tasks(cursor => 'x')$$, 'OM001')) v(statement, state);
SELECT count(*) FROM oms.complete_tasks('{}', '{}');

-- Queries.
SELECT queue, kind, status FROM oms.list_tasks('{"queue": ["order", "lost"], "status": "dead"}');
SELECT oms.get_task(:one) ->> 'status', oms.get_task(:one) -> 'result';

-- What was done is kept for as long as its queue says.
SET oms.now_override = '2030-01-03 12:00:00+00';
SELECT test.ok(oms.purge_tasks(100000) > 0, 'done tasks of two days ago go');
SELECT test.nothing($$SELECT * FROM oms.task WHERE status = 'done' AND queue IN ('mail', 'lease', 'few', 'inside')$$, 'none is left');
RESET oms.now_override;

-- A claim touches as many pages behind thousands of done tasks, and before thousands of ready ones, as alone.
CREATE FUNCTION test.claim_pages(queue text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks(%L)', queue) INTO plan;
    RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::int + (plan #>> '{0,Plan,Shared Read Blocks}')::int;
END $$;
SELECT count(oms.create_task('pages', 'k', '{}', 'pages-' || i)) FROM generate_series(1, 3) i;
SELECT test.claim_pages('pages') > 0 AS warm;
SELECT test.claim_pages('pages') AS alone \gset
SELECT count(oms.create_task('pages', 'k', '{}', 'pages-' || i)) FROM generate_series(4, 6003) i;
SELECT count(outcome) FROM (SELECT array_agg(task_id) t, array_agg(lease_epoch) e FROM oms.claim_tasks('pages', 3000)) c, oms.complete_tasks(t, e);
SELECT test.claim_pages('pages') > 0 AS warm;
SELECT test.ok(test.claim_pages('pages') <= :alone + 40, 'pages of a claim in the middle of a long queue');

-- What is rolled back to a savepoint is claimable again for everybody, also for a session that begins where another one has said that all is done.
SELECT count(oms.create_task('saved', 'k' || i, '{}', 'saved-' || i)) FROM generate_series(1, 1500) i;
SELECT count(outcome) FROM (SELECT array_agg(task_id) t, array_agg(lease_epoch) e FROM oms.claim_tasks('saved', 400)) c, oms.complete_tasks(t, e);
SELECT kind FROM oms.claim_tasks('saved', 1, '1 hour');
BEGIN;
SAVEPOINT s;
SELECT kind FROM oms.claim_tasks('saved', 1, '1 hour');
ROLLBACK TO s;
-- How far a queue is done is stored once a second, by a session that claims all the while.
SELECT sum(n) FROM generate_series(1, 5) i, LATERAL (SELECT count(*) AS n FROM oms.claim_tasks('saved', 150 + 0 * i, '1 hour') WHERE pg_sleep(CASE WHEN kind ~ '0$' THEN 0.02 ELSE 0 END)::text = '') c;
COMMIT;
\c
\t on
\pset format unaligned
SELECT count(*), bool_or(kind = 'k402') AS with_it FROM oms.claim_tasks('saved', 1000);
