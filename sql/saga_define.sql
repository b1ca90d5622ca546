-- Goal: a definition is accepted only when every part of it can be carried out; versions are immutable, and belong to the role that registered them.
-- Method: one definition for each thing that can be wrong with one; definitions of the largest size; two roles.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE SCHEMA saga;
CREATE FUNCTION saga.ok(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION saga.nothing(context jsonb) RETURNS void LANGUAGE sql AS $$ SELECT $$;
CREATE FUNCTION saga.wrong_result(context jsonb) RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
CREATE FUNCTION saga.many(context jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$ SELECT context $$;
CREATE FUNCTION saga.steps(variadic steps jsonb[]) RETURNS jsonb LANGUAGE sql RETURN jsonb_build_object('steps', to_jsonb(steps));
CREATE FUNCTION saga.refused(definition jsonb, what text) RETURNS text LANGUAGE sql
    RETURN test.fails(format('SELECT oms.define_saga(''refused'', %L)', definition), 'OM001', what);

-- What is wrong is named with its place.
SELECT message, detail, hint FROM test.outcome($$SELECT oms.define_saga('x', '{"steps": [{"name": "a", "kind": "magic"}]}')$$);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.define_saga('x', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.ok"}]}')$$);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.define_saga('x', '{"steps": [{"name": "p", "kind": "parallel", "steps": [{"name": "a", "kind": "sql", "function": "saga.gone", "compensation": null}]}]}')$$);
SELECT message, detail, hint FROM test.outcome($$SELECT oms.define_saga('x', '{"steps": [{"name": "a", "kind": "wait", "signal": "s", "dedline_ms": 5}]}')$$);

SELECT saga.refused('[]', 'no object');
SELECT saga.refused('{}', 'no steps');
SELECT saga.refused('{"steps": []}', 'an empty list of steps');
SELECT saga.refused('{"steps": {}}', 'steps that are no list');
SELECT saga.refused('{"steps": [1]}', 'a step that is no object');
SELECT saga.refused('{"steps": [{"name": "a", "kind": "wait", "signal": "s"}], "other": 1}', 'an unknown member of the definition');
SELECT saga.refused('{"subject": "customer", "steps": [{"name": "a", "kind": "wait", "signal": "s"}]}', 'an unknown subject');
SELECT saga.refused('{"deadline_ms": 0, "steps": [{"name": "a", "kind": "wait", "signal": "s"}]}', 'a deadline of nothing');
SELECT saga.refused('{"deadline_ms": 1.5, "steps": [{"name": "a", "kind": "wait", "signal": "s"}]}', 'half a millisecond');
SELECT saga.refused('{"allow": [1], "steps": [{"name": "a", "kind": "wait", "signal": "s"}]}', 'a role that is a number');
SELECT saga.refused(saga.steps(step::jsonb), what) FROM (VALUES
    ('{"kind": "wait", "signal": "s"}', 'a step without a name'),
    ('{"name": "", "kind": "wait", "signal": "s"}', 'a step with an empty name'),
    ('{"name": 7, "kind": "wait", "signal": "s"}', 'a step whose name is a number'),
    ('{"name": "a"}', 'a step without a kind'),
    ('{"name": "a", "kind": "sql", "compensation": null}', 'sql without a function'),
    ('{"name": "a", "kind": "sql", "function": "ok", "compensation": null}', 'a function without a schema'),
    ('{"name": "a", "kind": "sql", "function": "a.b.c", "compensation": null}', 'a function with a database'),
    ('{"name": "a", "kind": "sql", "function": "nowhere.ok", "compensation": null}', 'a schema that does not exist'),
    ('{"name": "a", "kind": "sql", "function": "saga.wrong_result", "compensation": null}', 'a function with another result'),
    ('{"name": "a", "kind": "sql", "function": "saga.many", "compensation": null}', 'a function that returns a set'),
    ('{"name": "a", "kind": "sql", "function": "saga.steps", "compensation": null}', 'a function with other arguments'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok"}', 'sql without a word on its compensation'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": {}}', 'an empty compensation'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": {"function": "saga.gone"}}', 'a compensation that does not exist'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": {"function": "saga.ok", "task": "t"}}', 'a compensation of two kinds'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": {"function": "saga.ok", "by_hand": "saga.gone"}}', 'a record of what was done by hand that cannot be made'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": {"function": "saga.ok", "by_hand": true}}', 'a record that is no function'),
    ('{"name": "a", "kind": "twophase", "participants": [{"name": "x", "prepare": {"function": "saga.ok", "by_hand": "saga.ok"}, "commit": {"function": "saga.ok"}, "abort": {"function": "saga.ok"}}], "compensation": null}', 'doing a step by hand'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "deadline_ms": 5}', 'a deadline for sql'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "retry": {"attempts": 0}}', 'no attempt at all'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "retry": {"attempts": 1001}}', 'too many attempts'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "retry": {"factor": 0.5}}', 'a shrinking delay'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "retry": {"jitter": 2}}', 'too much jitter'),
    ('{"name": "a", "kind": "sql", "function": "saga.ok", "compensation": null, "retry": {"tries": 2}}', 'an unknown member of a policy'),
    ('{"name": "a", "kind": "task", "task": "t", "compensation": null}', 'a task without a queue'),
    ('{"name": "a", "kind": "task", "queue": "q", "compensation": null}', 'a task without a kind'),
    ('{"name": "a", "kind": "task", "queue": "q", "task": "t"}', 'a task without a word on its compensation'),
    ('{"name": "a", "kind": "task", "queue": "q", "task": "t", "compensation": null, "priority": 5000}', 'a priority out of range'),
    ('{"name": "a", "kind": "task", "queue": "q", "task": "t", "compensation": null, "result": "saga.gone"}', 'a judge that does not exist'),
    ('{"name": "a", "kind": "task", "begin": "saga.ok", "queue": "q", "compensation": null}', 'a task that is begun and handed out'),
    ('{"name": "a", "kind": "wait"}', 'a wait for nothing'),
    ('{"name": "a", "kind": "wait", "signal": "s", "on_deadline": "explode"}', 'an unknown choice at the deadline'),
    ('{"name": "a", "kind": "timer"}', 'a timer without a time'),
    ('{"name": "a", "kind": "timer", "delay_ms": 5, "delay_path": "$.x"}', 'a timer with two times'),
    ('{"name": "a", "kind": "timer", "delay_ms": -1}', 'a timer into the past'),
    ('{"name": "a", "kind": "timer", "delay_path": "$.("}', 'a path that is none'),
    ('{"name": "a", "kind": "parallel"}', 'a parallel step without children'),
    ('{"name": "a", "kind": "parallel", "steps": []}', 'a parallel step with no child'),
    ('{"name": "a", "kind": "parallel", "steps": [{"name": "a", "kind": "wait", "signal": "s"}]}', 'two steps with one name'),
    ('{"name": "a", "kind": "conditional", "steps": [{"name": "b", "kind": "wait", "signal": "s"}]}', 'a conditional without a predicate'),
    ('{"name": "a", "kind": "conditional", "when": "$$$", "steps": [{"name": "b", "kind": "wait", "signal": "s"}]}', 'a predicate that is none'),
    ('{"name": "a", "kind": "conditional", "when": "", "steps": [{"name": "b", "kind": "wait", "signal": "s"}]}', 'an empty predicate'),
    ('{"name": "a", "kind": "twophase", "compensation": null}', 'two phases without participants'),
    ('{"name": "a", "kind": "twophase", "participants": [], "compensation": null}', 'two phases with no participant'),
    ('{"name": "a", "kind": "twophase", "participants": [{"name": "x", "prepare": {"function": "saga.ok"}, "commit": {"function": "saga.ok"}}], "compensation": null}', 'a participant that cannot abort'),
    ('{"name": "a", "kind": "twophase", "participants": [{"name": "x", "prepare": {"function": "saga.ok"}, "abort": {"function": "saga.ok"}}], "compensation": null}', 'a participant that cannot commit'),
    ('{"name": "a", "kind": "twophase", "participants": [{"name": "x", "prepare": {"function": "saga.ok"}, "commit": {"function": "saga.ok"}, "abort": {"function": "saga.ok"}}]}', 'two phases without a word on their compensation')
) refused (step, what);
SELECT test.fails($$SELECT oms.define_saga('Bad Name', '{"steps": [{"name": "a", "kind": "wait", "signal": "s"}]}')$$, 'OM001', 'a name with a blank');
SELECT test.fails($$SELECT oms.define_saga(NULL, '{}')$$, 'OM001', 'no name');
SELECT test.fails($$SELECT oms.define_saga('x', NULL)$$, 'OM001', 'no definition');
SELECT test.equal((SELECT count(*) FROM oms.saga_definition WHERE NOT builtin), 0, 'nothing of this was registered');

-- Nesting has an end, and 10,000 steps have none of the trouble.
CREATE FUNCTION saga.nested(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    step jsonb := '{"name": "leaf", "kind": "wait", "signal": "s"}';
BEGIN
    FOR level IN 1..depth LOOP
        step := jsonb_build_object('name', 'level' || level, 'kind', 'parallel', 'steps', jsonb_build_array(step));
    END LOOP;
    RETURN step;
END $$;
SELECT test.equal(oms.define_saga('deep', saga.steps(saga.nested(7))), 1, 'eight levels');
SELECT saga.refused(saga.steps(saga.nested(8)), 'nine levels');
SELECT test.equal(oms.define_saga('long', jsonb_build_object('steps', jsonb_agg(jsonb_build_object('name', 's' || n, 'kind', 'sql', 'function', 'saga.ok', 'compensation', NULL)))), 1, '10,000 steps')
FROM generate_series(1, 10000) n;
SELECT saga.refused(jsonb_build_object('steps', jsonb_agg(jsonb_build_object('name', 's' || n, 'kind', 'wait', 'signal', 's'))), '16,385 steps')
FROM generate_series(1, 16385) n;
SELECT status FROM oms.start_saga('long', '{}', test.key());
SELECT test.equal((SELECT count(*) FROM oms.saga_step JOIN oms.saga USING (saga_id) WHERE definition = 'long' AND saga_step.status = 'completed'), 10000, 'all of them were done');

-- Versions.
SELECT test.equal(oms.define_saga('v', saga.steps('{"name": "a", "kind": "wait", "signal": "s"}')), 1, 'the first version');
SELECT test.equal(oms.define_saga('v', saga.steps('{"name": "a", "kind": "wait", "signal": "s"}')), 1, 'the same again is the same version');
SELECT saga_id AS old FROM oms.start_saga('v', '{}', test.key()) \gset
SELECT test.equal(oms.define_saga('v', saga.steps('{"name": "b", "kind": "wait", "signal": "t"}')), 2, 'another is the next version');
SELECT version, waits_for FROM oms.start_saga('v', '{}', test.key());
SELECT version, waits_for FROM oms.start_saga('v', '{}', test.key(), version => 1);
SELECT version, status, waits_for FROM oms.signal_saga(:old, 'other', NULL, test.key());
SELECT status FROM oms.signal_saga(:old, 's', NULL, test.key());
SELECT test.fails($$SELECT oms.start_saga('v', '{}', test.key(), version => 3)$$, 'OM002', 'a version that is not there');
SELECT test.fails($$SELECT oms.start_saga('nobody', '{}', test.key())$$, 'OM002', 'a saga that is not there');
SELECT test.fails($$UPDATE oms.saga_definition SET definition = '{}' WHERE name = 'v'$$, 'OM027', 'a version is not changed');
SELECT test.fails($$DELETE FROM oms.saga_definition WHERE name = 'v'$$, 'OM027', 'a version is not removed');

-- A definition that was rolled back was never there, also not in this session.
BEGIN;
SELECT oms.define_saga('fleeting', saga.steps('{"name": "a", "kind": "wait", "signal": "first"}'));
SELECT waits_for FROM oms.start_saga('fleeting', '{}', test.key());
ROLLBACK;
SELECT oms.define_saga('fleeting', saga.steps('{"name": "a", "kind": "wait", "signal": "second"}'));
SELECT waits_for FROM oms.start_saga('fleeting', '{}', test.key());

-- What a role may not call, it cannot have called; and its sagas are its own.
CREATE ROLE regress_saga_owner;
CREATE ROLE regress_saga_other;
SELECT oms.grant_application('regress_saga_owner'), oms.grant_application('regress_saga_other');
GRANT USAGE ON SCHEMA saga, test TO regress_saga_owner, regress_saga_other;
GRANT USAGE ON SEQUENCE test.key_seq TO regress_saga_owner, regress_saga_other;
CREATE FUNCTION saga.secret(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(current_user::text) $$;
REVOKE EXECUTE ON FUNCTION saga.secret(jsonb) FROM PUBLIC;
SET ROLE regress_saga_owner;
SELECT saga.refused('{"steps": [{"name": "a", "kind": "sql", "function": "saga.secret", "compensation": null}]}', 'a function of others');
RESET ROLE;
GRANT EXECUTE ON FUNCTION saga.secret(jsonb) TO regress_saga_owner;
SET ROLE regress_saga_owner;
SELECT oms.define_saga('owned', '{"allow": ["regress_saga_other"], "steps": [{"name": "who", "kind": "sql", "function": "saga.secret", "compensation": null}]}');
SELECT oms.define_saga('private', '{"steps": [{"name": "who", "kind": "sql", "function": "saga.secret", "compensation": null}]}');
SET ROLE regress_saga_other;
SELECT saga_id AS owned FROM oms.start_saga('owned', '{}', test.key()) \gset
SELECT test.fails($$SELECT oms.start_saga('private', '{}', test.key())$$, '42501', 'a saga that nobody else may start');
SELECT test.fails($$SELECT oms.define_saga('private', '{"steps": [{"name": "a", "kind": "wait", "signal": "s"}]}')$$, '42501', 'a version of a saga of others');
SELECT test.fails($$SELECT oms.start_saga('order_fulfilment', '{}', test.key(), 'x')$$, '42501', 'the built-in saga by hand');
RESET ROLE;
SELECT test.equal(oms.saga_status(:owned) -> 'data' -> 'steps' ->> 'who', 'regress_saga_owner', 'the function runs as the role that registered it');
-- The right that is taken away later is missing at the next call.
REVOKE EXECUTE ON FUNCTION saga.secret(jsonb) FROM regress_saga_owner;
SET ROLE regress_saga_owner;
SELECT status, waits_for FROM oms.start_saga('private', '{}', test.key());
RESET ROLE;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
-- What a session keeps of definitions is bounded, however many it has used: in one transaction and over many, by itself and while a saga is under way.
CREATE FUNCTION saga.kept() RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT format('%s definitions, %s', CASE WHEN count(*) <= 64 THEN 'at most 64' ELSE count(*)::text END, CASE WHEN sum(total_bytes) < 4000000 THEN 'less than 4 MB' ELSE pg_size_pretty(sum(total_bytes)) END)
    FROM pg_backend_memory_contexts WHERE ident = 'oms saga definitions'; END;
CREATE FUNCTION saga.version(n int) RETURNS int LANGUAGE sql
    RETURN oms.define_saga('versions', jsonb_build_object('description', repeat('x', 1900) || n, 'steps', '[{"name": "w", "kind": "wait", "signal": "go"}]'::jsonb));
SELECT count(saga.version(n)), max(saga.version(n)) FROM generate_series(1, 3000) n;
SELECT saga.kept();
-- Started and signaled, version by version, so that each is looked for twice and 3,000 are in use.
SELECT count(DISTINCT version), count(*) FILTER (WHERE status = 'running') FROM generate_series(1, 3000) n, oms.start_saga('versions', '{}', 'versions-' || n, version => n);
SELECT saga.kept();
CREATE PROCEDURE saga.signal_all() LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT saga_id FROM oms.saga WHERE definition = 'versions' ORDER BY saga_id LOOP
        PERFORM oms.signal_saga(s.saga_id, 'go', NULL, 'versions-go-' || s.saga_id);
        IF s.saga_id % 100 = 0 THEN COMMIT; END IF;
    END LOOP;
END $$;
CALL saga.signal_all();
SELECT status, count(*) FROM oms.saga WHERE definition = 'versions' GROUP BY 1;
SELECT saga.kept();
-- A step that starts sagas of more definitions than are kept: its own stays in use all the while.
CREATE FUNCTION saga.start_many(context jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(count(*)) FROM generate_series(1, 200) n, oms.start_saga('versions', '{}', 'saga-many-' || n, version => n) $$;
SELECT oms.define_saga('many', '{"steps": [{"name": "a", "kind": "sql", "function": "saga.start_many", "compensation": null}, {"name": "b", "kind": "wait", "signal": "go"}]}');
SELECT status, waits_for FROM oms.start_saga('many', '{}', 'saga-many');
SELECT saga.kept();
-- A version that was rolled back is not remembered.
BEGIN;
SELECT saga.version(3001);
SELECT version FROM oms.start_saga('versions', '{}', 'rolled-back');
ROLLBACK;
SELECT version FROM oms.start_saga('versions', '{}', 'not-rolled-back');

SET client_min_messages = warning;
DROP OWNED BY regress_saga_owner, regress_saga_other;
DROP ROLE regress_saga_owner, regress_saga_other;
DROP SCHEMA saga CASCADE;
