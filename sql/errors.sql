-- Goal: every error of oms.errors() can happen, is raised with its SQLSTATE, and says what was found and what would be legal.
-- Method: one provocation for each SQLSTATE; the table of errors must have no row without one.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

SELECT * FROM oms.errors();
SELECT test.nothing($$SELECT sqlstate FROM oms.errors() WHERE sqlstate !~ '^OM[0-9]{3}$'$$, 'every SQLSTATE is of class OM');
SELECT test.nothing($$SELECT sqlstate FROM oms.errors() GROUP BY sqlstate HAVING count(*) > 1$$, 'each SQLSTATE stands for one thing');
SELECT test.nothing($$SELECT name FROM oms.errors() GROUP BY name HAVING count(*) > 1$$, 'each name stands for one thing');
SELECT test.nothing($$SELECT name FROM oms.errors() WHERE name !~ '^[a-z_]+$' OR meaning !~ '[.]$' OR action !~ '^[A-Z].*[.]$'$$, 'meaning and action are sentences');

-- A transaction that neither commits nor rolls back holds a key.
BEGIN;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'held-key');
PREPARE TRANSACTION 'holds a key';
SET oms.idempotency_wait = off;
SELECT test.make_order() AS a, test.make_order('paid') AS p, test.make_order('paid') AS busy, test.make_order() AS held, test.make_order() AS short \gset
SELECT count(oms.amend_order(:'short', '[{"sku": "unheard-of", "qty": 1, "price_minor": 1}]', test.key()));
SELECT on_hold FROM oms.hold_order(:'held', 'x', test.key());
SELECT status FROM oms.advance_order(:'a', 'cancel', 'used-key');
UPDATE oms.orders SET pending_action = 'refunding' WHERE order_id = :'busy';

CREATE TEMP TABLE provocation (name text, statement text);
INSERT INTO provocation VALUES
    ('invalid_argument', $$SELECT oms.create_order('c', 'EUR', '[]', 'k')$$),
    ('not_found', $$SELECT oms.advance_order('01890000-0000-7000-8000-000000000000', 'pay', 'k')$$),
    ('illegal_transition', format($$SELECT oms.advance_order(%L, 'ship', 'k')$$, :'a')),
    ('order_on_hold', format($$SELECT oms.advance_order(%L, 'reserve', 'k')$$, :'held')),
    ('operation_in_progress', format($$SELECT oms.advance_order(%L, 'confirm', 'k')$$, :'busy')),
    ('version_conflict', format($$SELECT oms.advance_order(%L, 'confirm', 'k', 77)$$, :'p')),
    ('idempotency_key_required', format($$SELECT oms.advance_order(%L, 'confirm')$$, :'p')),
    ('idempotency_key_reused', format($$SELECT oms.advance_order(%L, 'confirm', 'used-key')$$, :'p')),
    ('idempotency_in_progress', $$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'held-key')$$),
    ('refund_exceeds_captured', format($$SELECT oms.refund_order(%L, 2501, 'x', 'k')$$, :'p')),
    ('currency_mismatch', $$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1, "currency": "USD"}]', 'k')$$),
    ('stream_conflict', $$SELECT oms.append_events('error', 'e', 5, '[{"type": "t", "payload": {}}]')$$),
    ('protected_row', $$DELETE FROM oms.event$$),
    ('reader_exists', $$DO 'BEGIN PERFORM oms.create_reader(''errors'', ''{a}''); PERFORM oms.create_reader(''errors'', ''{b}''); END'$$),
    ('insufficient_stock', format($$SELECT oms.reserve(%L, 'k')$$, :'short')),
    ('position_unknown', $$DO 'BEGIN PERFORM oms.create_reader(''errors''); PERFORM oms.commit_reader(''errors'', 1); END'$$);
-- What takes more than one session to provoke, and where that is done.
CREATE TEMP TABLE elsewhere (name text, test text);
INSERT INTO elsewhere VALUES
    ('layout_changed', 'below, once nobody holds a lock on oms.orders'),
    ('reader_busy', 'isolation: reader_ownership'),
    ('primary_required', 'tap: standby_reads'),
    ('too_many_unconfirmed', 'readers'),
    ('dead_letter_state', 'dead_letters'),
    ('restore_incomplete', 'reader_lives'),
    ('payment_declined', 'payments'),
    ('payment_indeterminate', 'payments'),
    ('saga_not_resumable', 'saga_undo'),
    ('task_lease_lost', 'tasks'),
    ('standby_unconfirmed', 'tap: durable_reads');
SELECT test.nothing($$SELECT name FROM oms.errors() EXCEPT (SELECT name FROM provocation UNION SELECT name FROM elsewhere)$$, 'every error is provoked');
SELECT test.fails(statement, sqlstate, sqlstate || ' ' || name) FROM provocation JOIN oms.errors() USING (name) ORDER BY sqlstate;
SELECT o.state, replace(replace(replace(replace(replace(o.message, :'a', 'ORDER'), :'short', 'ORDER'), :'held', 'ORDER'), :'busy', 'ORDER'), :'p', 'ORDER') AS message, o.detail, o.hint
FROM provocation, LATERAL test.outcome(statement) o ORDER BY o.state;

-- Once the transaction has ended the key is free, and the tables can be changed.
ROLLBACK PREPARED 'holds a key';
BEGIN;
ALTER TABLE oms.orders RENAME total_minor TO total;
SELECT test.fails('SELECT test.make_order()', 'OM026', 'OM026 layout_changed');
SELECT message, detail, hint FROM test.outcome('SELECT test.make_order()');
ROLLBACK;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'held-key');
RESET oms.idempotency_wait;

-- PostgreSQL's own errors keep their meaning.
SELECT test.fails($$INSERT INTO oms.orders SELECT * FROM oms.orders$$, '23505', 'a duplicate row');
SELECT test.fails($$SELECT oms.create_order('c')$$, '42883', 'a function that does not exist');
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', 'no json', 'k')$$, '22P02', 'what is not JSON');
SELECT test.fails($$SELECT oms.get_order('no uuid')$$, '22P02', 'what is not a uuid');
BEGIN READ ONLY;
SELECT replayed FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'held-key');
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'read-only')$$, '25006', 'a command in a read-only transaction');
SELECT test.fails($$SELECT oms.append_events('error', 'e', 0, '[{"type": "t", "payload": {}}]')$$, '25006', 'an append in a read-only transaction');
SELECT test.fails($$SELECT oms.purge_idempotency()$$, '25006', 'a purge in a read-only transaction') FROM set_config('oms.now_override', '2099-01-01 00:00:00+00', true);
COMMIT;
UPDATE oms.orders SET pending_action = NULL WHERE order_id = :'busy';
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
