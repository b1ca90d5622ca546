-- Goal: an event that cannot be delivered becomes a dead letter, once; it is replayed in order, audited, without losing or altering anything;
-- with block_key the events of its key wait behind it; the outbox and the receipts tell what became of each.
-- Method: this session plays the relay and the operator.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET oms.outbox_reader = 'dead';
SELECT oms.create_reader('dead', '{letters, blocked}');
SELECT oms.create_reader('nobody', '{letters}');

-- Appends an event with a key and gives its id.
CREATE FUNCTION test.send(key text, topic text DEFAULT 'letters') RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT last_id FROM oms.append_events('letter', 'letters', NULL, jsonb_build_array(jsonb_build_object('type', 'sent', 'topic', topic, 'key', key, 'payload', '{"a": 1}'::jsonb)))
$$;
-- The outbox of these events, from `above` on.
CREATE FUNCTION test.outbox(above bigint) RETURNS TABLE (key text, status text, attempts integer, error text) LANGUAGE sql AS $$
    SELECT key, status, attempts, error FROM oms.outbox WHERE id > above ORDER BY id
$$;
CREATE FUNCTION test.letters() RETURNS TABLE (key text, status text, attempts integer, error text) LANGUAGE sql AS $$
    SELECT key, status, attempts, error FROM oms.dead_letter WHERE reader = 'dead' ORDER BY event_id
$$;

-- The outbox follows the cursor.
SELECT test.last_id() AS start \gset
SELECT test.send('a') AS a1, test.send('b') AS b1, test.send('a') AS a2, test.send('c') AS c1 \gset
SELECT * FROM test.outbox(:start);
SELECT oms.attach_reader('dead');
SELECT test.read('dead') = test.ids(:start, '{letters}') AS all_of_them;
SELECT * FROM test.outbox(:start);
SELECT oms.commit_reader('dead', :b1);
SELECT * FROM test.outbox(:start);

-- Rejecting: once, whatever is said later.
SELECT oms.reject_event('dead', :a2, 'too large', 1) AS letter \gset
SELECT test.equal(oms.reject_event('dead', :a2, 'too large again', 5), :letter, 'the same dead letter');
SELECT * FROM test.letters();
SELECT test.fails($$SELECT oms.reject_event('dead', 0, 'x', 1)$$, 'OM002', 'an event that does not exist');
SELECT test.fails($$SELECT oms.reject_event('unknown', $$ || :a1 || $$, 'x', 1)$$, 'OM002', 'a reader that does not exist');
SELECT test.fails($$SELECT oms.reject_event('dead', NULL, 'x', 1)$$, 'OM001', 'no event');
SELECT test.fails($$SELECT oms.reject_event('dead', $$ || :a1 || $$, NULL, 1)$$, 'OM001', 'no error');
SELECT oms.commit_reader('dead');
SELECT * FROM test.outbox(:start);
SELECT test.equal((SELECT array_agg(id) FROM oms.outbox WHERE status = 'failed' AND id > :start), ARRAY[:a2::bigint], 'failed ones are found by their status');
SELECT test.nothing(format($$SELECT * FROM oms.outbox WHERE status = 'pending' AND id > %s$$, :start), 'nothing is pending');

-- Replaying: first shown, then asked for, with a reason that is kept.
SELECT key, error, attempts, outcome FROM oms.dlq_replay(ids => ARRAY[:letter]::bigint[]);
SELECT test.equal(status, 'failed', 'a dry run changes nothing') FROM oms.dead_letter WHERE dead_letter_id = :letter;
SELECT test.fails($$SELECT oms.dlq_replay()$$, 'OM001', 'neither ids nor a filter');
SELECT test.fails($$SELECT oms.dlq_replay('{1}', '{}')$$, 'OM001', 'ids and a filter');
SELECT test.fails($$SELECT oms.dlq_replay('{}')$$, 'OM001', 'no ids');
SELECT test.fails($$SELECT oms.dlq_replay('{1,NULL}')$$, 'OM001', 'a NULL among the ids');
SELECT test.fails($$SELECT oms.dlq_replay('{-1}')$$, 'OM002', 'a dead letter that does not exist');
SELECT test.fails($$SELECT oms.dlq_replay(filter => '{"colour": "red"}')$$, 'OM001', 'a filter member that is not known');
SELECT test.fails($$SELECT oms.dlq_replay(filter => '{}', dry_run => false)$$, 'OM001', 'no reason');
SELECT test.fails($$SELECT oms.dlq_replay(filter => '{}', dry_run => false, reason => 'x', rate => 0)$$, 'OM001', 'a rate of nothing');
SELECT test.fails($$SELECT oms.dlq_discard('{-1}', 'x')$$, 'OM002', 'giving up one that does not exist');
SET oms.actor = 'ann';
SELECT key, outcome FROM oms.dlq_replay(ids => ARRAY[:letter]::bigint[], dry_run => false, reason => 'the limit was raised');
SELECT key, outcome FROM oms.dlq_replay(ids => ARRAY[:letter]::bigint[], dry_run => false, reason => 'again');
SELECT * FROM test.outbox(:start) WHERE key = 'a';
SELECT attempt_id AS attempt FROM oms.take_replays('dead') \gset
SELECT test.equal(attempt_id, :attempt, 'given again until it is settled') FROM oms.take_replays('dead');
SELECT dead_letter_id = :letter, id = :a2, type, topic, key, payload FROM oms.take_replays('dead');
SELECT oms.settle_replay(:attempt, false, 'still too large');
SELECT oms.settle_replay(:attempt, false, 'still too large');
SELECT test.fails($$SELECT oms.settle_replay($$ || :attempt || ', true)', 'OM033', 'settled twice, with another outcome');
SELECT test.fails($$SELECT oms.settle_replay(-1, true)$$, 'OM002', 'an attempt that does not exist');
SELECT test.fails($$SELECT oms.settle_replay($$ || :attempt || ', NULL)', 'OM001', 'no outcome');
SELECT * FROM test.letters();
SELECT key, outcome FROM oms.dlq_replay(filter => '{"reader": "dead", "key": "a"}', dry_run => false, reason => 'once more');
SELECT attempt_id AS attempt FROM oms.take_replays('dead') \gset
SELECT oms.settle_replay(:attempt, true);
SELECT * FROM test.letters();
SELECT test.nothing($$SELECT * FROM oms.take_replays('dead')$$, 'no attempt is open');
SELECT test.equal(status, 'sent', 'the outbox shows it as sent') FROM oms.outbox WHERE id = :a2;
SELECT actor, reason, ok, error FROM oms.replay_attempt WHERE dead_letter_id = :letter ORDER BY attempt_id;
SELECT session_role = session_user, actor, operation, object, reason, before, after FROM oms.audit WHERE operation LIKE 'dlq%' ORDER BY audit_id;
RESET oms.actor;

-- Replays come in the order of events, at the rate that was asked for.
SELECT test.send('r1') AS r1, test.send('r2') AS r2, test.send('r3') AS r3 \gset
SELECT oms.reject_event('dead', id, 'x', 1) > 0 FROM unnest(ARRAY[:r3, :r1, :r2]) id;
SET oms.now_override = '2026-01-01 00:00:00+00';
SELECT key, outcome FROM oms.dlq_replay(filter => '{"reader": "dead", "status": "failed"}', rate => 2, dry_run => false, reason => 'x');
SELECT key FROM oms.take_replays('dead');
SET oms.now_override = '2026-01-01 00:00:00.5+00';
SELECT key FROM oms.take_replays('dead');
SET oms.now_override = '2026-01-01 00:00:01+00';
SELECT key FROM oms.take_replays('dead', 2);
SELECT oms.settle_replay(attempt_id, true) FROM oms.take_replays('dead');
RESET oms.now_override;

-- skip: the later events of a key go on. block_key: they wait.
SELECT test.fails($$SELECT oms.set_topic_policy('blocked', 'drop')$$, 'OM001', 'another policy');
SELECT test.fails($$SELECT oms.set_topic_policy('no topic', 'skip')$$, 'OM001', 'another topic');
SELECT oms.set_topic_policy('blocked', 'block_key', true);
SELECT * FROM oms.topic_policies();
SELECT test.last_id() AS start \gset
SELECT test.send('k', 'blocked') AS k1, test.send('k', 'blocked') AS k2, test.send('k', 'blocked') AS k3, test.send('other', 'blocked') AS o1 \gset
SELECT cardinality(test.read('dead'));
SELECT test.equal(oms.reject_event('dead', :k2, 'x', 0, true), NULL, 'nothing holds the key yet');
SELECT oms.reject_event('dead', :k1, 'bad', 1) AS l1 \gset
SELECT oms.reject_event('dead', :k2, 'waits', 0, true) AS l2 \gset
SELECT oms.reject_event('dead', :k3, 'waits', 0, true) AS l3 \gset
SELECT oms.commit_reader('dead');
SELECT * FROM oms.blocked_keys('dead');
SELECT topic, key, parked, blocked_by = :k1, since IS NOT NULL, age >= interval '0' FROM oms.parked_keys WHERE reader = 'dead';
SELECT * FROM test.outbox(:start);
SELECT key, outcome FROM oms.dlq_replay(ids => ARRAY[:l2]::bigint[], dry_run => false, reason => 'x');
SELECT key, outcome FROM oms.dlq_replay(filter => '{"topic": "blocked"}', dry_run => false, reason => 'x');
SELECT test.equal(id, :k1, 'one at a time') FROM oms.take_replays('dead');
SELECT oms.settle_replay(attempt_id, true) FROM oms.take_replays('dead');
SELECT test.equal(id, :k2, 'then the first that waited') FROM oms.take_replays('dead');
SELECT key, status FROM test.letters() WHERE key = 'k';
SELECT test.equal(oms.reject_event('dead', :o1, 'waits', 0, true), NULL, 'another key is free');
SELECT oms.settle_replay(attempt_id, false, 'bad, too') FROM oms.take_replays('dead');
SELECT test.nothing($$SELECT * FROM oms.take_replays('dead')$$, 'it failed: the next one waits on');
SELECT key, outcome FROM oms.dlq_discard(ARRAY[:l2]::bigint[], 'nobody needs it');
SELECT key, outcome FROM oms.dlq_discard(ARRAY[:l2]::bigint[], 'nobody needs it');
SELECT test.equal(id, :k3, 'given up: the next one follows') FROM oms.take_replays('dead');
SELECT oms.settle_replay(attempt_id, true) FROM oms.take_replays('dead');
SELECT test.nothing($$SELECT * FROM oms.blocked_keys('dead')$$, 'no key is held back');
SELECT test.nothing($$SELECT * FROM oms.parked_keys WHERE reader = 'dead'$$, 'nothing waits');
SELECT * FROM test.outbox(:start);
SELECT operation, object, reason FROM oms.audit WHERE operation = 'dlq_discard';
-- One that was parked and is then rejected itself is a failed one.
SELECT test.send('k', 'blocked') AS k4, test.send('k', 'blocked') AS k5 \gset
SELECT oms.reject_event('dead', :k4, 'bad', 1) AS l4 \gset
SELECT oms.reject_event('dead', :k5, 'waits', 0, true) AS l5 \gset
SELECT test.equal(oms.reject_event('dead', :k5, 'bad', 1), :l5, 'parked, then rejected');
SELECT key, status, attempts, error FROM test.letters() WHERE key = 'k' AND status = 'failed';
SELECT key, outcome FROM oms.dlq_discard(ARRAY[:l4, :l5]::bigint[], 'both');

-- Receipts: what arrived where, once.
SELECT oms.record_receipts('dead', ARRAY[:k1, :o1]::bigint[], '{blocked, blocked}', '{0, 3}', '{100, 7}', ARRAY['2026-01-02 00:00:00+00', '2026-01-02 00:00:01+00']::timestamptz[]);
SELECT oms.record_receipts('dead', ARRAY[:o1]::bigint[], '{blocked}', '{3}', '{7}', ARRAY['2026-01-02 00:00:01+00']::timestamptz[]);
SELECT oms.record_receipts('dead', '{}', '{}', '{}', '{}', '{}');
SELECT reader, topic, partition, "offset", broker_time AT TIME ZONE 'UTC' FROM oms.receipt ORDER BY event_id;
SELECT key, sent_at AT TIME ZONE 'UTC' FROM oms.outbox WHERE id IN (:k1, :o1) ORDER BY id;
SELECT test.fails($$SELECT oms.record_receipts('dead', '{1,2}', '{t}', '{1}', '{1}', '{now}')$$, 'OM001', 'arrays of several lengths');
SELECT test.fails($$SELECT oms.record_receipts('dead', '{1}', NULL, '{1}', '{1}', '{now}')$$, 'OM001', 'an array that is missing');
SELECT test.fails($$SELECT oms.record_receipts('dead', '{1}', '{NULL}', '{1}', '{1}', '{now}')$$, 'OM001', 'a NULL among the topics');

-- The list, by what people look for.
SELECT test.equal(count(*), (SELECT count(*) FROM oms.dead_letter), 'all of them') FROM oms.dlq_list();
SELECT key, status FROM oms.dlq_list('{"reader": "dead", "status": ["sent", "discarded"], "topic": "blocked", "created_from": "2020-01-01"}', 2);
SELECT test.nothing($$SELECT * FROM oms.dlq_list('{"reader": "nobody"}')$$, 'none of another reader');
SELECT test.fails($$SELECT oms.dlq_list('{"reader": 1}')$$, 'OM001', 'a number as a reader');
SELECT test.fails($$SELECT oms.dlq_list('[]')$$, 'OM001', 'a filter that is no object');
SELECT test.fails($$SELECT oms.dlq_list('{}', 0)$$, 'OM001', 'a list of nothing');

-- A count of attempts that cannot grow any more.
SELECT test.append('endless', 1, 'letters') AS last \gset
SELECT oms.reject_event('dead', :last, 'no', 2147483647) AS endless \gset
SELECT outcome FROM oms.dlq_replay(ARRAY[:endless], dry_run => false, reason => 'once more');
SELECT oms.settle_replay(attempt_id, true) FROM oms.take_replays('dead') WHERE dead_letter_id = :endless;
SELECT test.equal((status, attempts)::text, '(sent,2147483647)', 'stays as it is') FROM oms.dead_letter WHERE dead_letter_id = :endless;

-- A reader that is dropped leaves its dead letters; the outbox of no reader is all pending.
SELECT oms.detach_reader('dead');
SELECT oms.drop_reader(name) FROM unnest('{dead, nobody}'::text[]) name;
SELECT test.ok(count(*) > 0, 'the dead letters stay') FROM oms.dead_letter WHERE reader = 'dead';
SET oms.outbox_reader = 'nobody';
SELECT test.equal(array_agg(DISTINCT status), '{pending}', 'an outbox without a reader') FROM oms.outbox WHERE topic = 'letters';
RESET oms.outbox_reader;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
