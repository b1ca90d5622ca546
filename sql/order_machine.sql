-- Goal: oms.order_status and oms.order_transition are the machine: what they say is what the commands do, an owner's rows included.
-- Method: the tables against what the library applies; states and transitions added, changed, rolled back, removed; every change to a
-- built-in row refused.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

SELECT test.nothing($$(SELECT * FROM oms.order_transition EXCEPT SELECT * FROM oms.order_machine())
    UNION ALL (SELECT * FROM oms.order_machine() EXCEPT SELECT * FROM oms.order_transition)$$, 'the table and the library have the same transitions');
SELECT test.equal(array_agg(status ORDER BY status), '{canceled,completed,confirmed,paid,pending,refunded,reserved,shipped}'::text[], 'the built-in states')
FROM oms.order_status WHERE builtin;
SELECT test.equal(array_agg(status ORDER BY status), '{canceled,refunded}'::text[], 'the final ones') FROM oms.order_status WHERE is_final;
SELECT test.nothing($$SELECT * FROM oms.order_machine() JOIN oms.order_status ON status = from_status WHERE is_final$$, 'nothing leads out of a final state');
SELECT oms.order_machine_graph();
SELECT oms.order_machine_graph('dot');
SELECT test.fails($$SELECT oms.order_machine_graph('svg')$$, 'OM001', 'an unknown format');

-- An owner's warehouse: confirmed orders are picked, picked ones are shipped or go back.
SELECT test.make_order('confirmed') AS w, test.make_order('confirmed') AS x \gset
SELECT test.fails(format($$SELECT test.advance(%L, 'pick')$$, :'w'), 'OM001', 'an action that nobody defined');
INSERT INTO oms.order_status (status, description) VALUES ('picked', 'lies in a box');
INSERT INTO oms.order_transition (from_status, action, to_status, blocked_by_hold, effect, event_type) VALUES
    ('confirmed', 'pick', 'picked', true, 'none', 'order.picked'),
    ('picked', 'ship', 'shipped', true, 'none', 'order.shipped'),
    ('picked', 'put_back', 'confirmed', false, 'none', 'warehouse.put_back'),
    ('picked', 'cancel', 'canceled', false, 'refund_rest', 'order.canceled');
SELECT status, paid_minor FROM test.advance(:'w', 'pick');
SELECT status FROM test.advance(:'w', 'put_back');
SELECT status FROM oms.hold_order(:'w', 'wait', test.key());
SELECT test.fails(format($$SELECT test.advance(%L, 'pick')$$, :'w'), 'OM004', 'an owner''s transition that a hold blocks');
SELECT status FROM oms.release_hold(:'w', test.key());
SELECT status FROM test.advance(:'w', 'pick');
SELECT test.fails(format($$SELECT test.advance(%L, 'pay')$$, :'w'), 'OM003', 'an action of another state');
SELECT replace(o.message, :'w', 'ORDER') AS message, o.hint FROM test.outcome(format($$SELECT test.advance(%L, 'pay')$$, :'w')) o;
SELECT status FROM test.advance(:'w', 'ship');
SELECT test.equal(test.timeline(:'w'), '{order.created,order.reserved,order.paid,order.confirmed,order.picked,warehouse.put_back,order.held,order.hold_released,order.picked,order.shipped}'::text[],
    'an owner''s events stand in the timeline');
SELECT status FROM test.advance(:'x', 'pick');
SELECT status, refunded_minor FROM test.advance(:'x', 'cancel');
SELECT test.equal(test.timeline(:'x'), '{order.created,order.reserved,order.paid,order.confirmed,order.picked,order.refunded,order.canceled}'::text[],
    'an owner''s transition moves the money as its effect says');
SELECT from_status, action, to_status, blocked_by_hold, effect, event_type FROM oms.order_machine() WHERE NOT builtin ORDER BY 1, 2;
SELECT test.ok(oms.order_machine_graph('dot') LIKE '%"picked" -> "shipped" [label="ship", style=dashed];%', 'the graph shows an owner''s transitions');
SELECT count(*) FROM oms.list_orders('{"status": "picked"}');

-- An effect of the owner's own: pay at the door.
INSERT INTO oms.order_transition (from_status, action, to_status, effect, event_type) VALUES ('pending', 'pay_at_door', 'completed', 'pay_in_full', 'order.paid');
SELECT test.make_order() AS d \gset
SELECT status, paid_minor FROM test.advance(:'d', 'pay_at_door');
SELECT payload -> 'paid_minor' AS paid FROM oms.order_timeline(:'d') WHERE type = 'order.paid';

-- A change counts at once, in the transaction that makes it, and is gone when that is rolled back, wholly or to a savepoint.
SELECT test.make_order() AS r, test.make_order() AS s \gset
BEGIN;
UPDATE oms.order_transition SET to_status = 'shipped', event_type = 'order.shipped' WHERE action = 'pay_at_door';
SELECT status FROM test.advance(:'r', 'pay_at_door');
ROLLBACK;
SELECT status FROM test.advance(:'r', 'pay_at_door');
BEGIN;
SAVEPOINT one;
DELETE FROM oms.order_transition WHERE action = 'pay_at_door';
SELECT test.fails(format($$SELECT test.advance(%L, 'pay_at_door')$$, :'s'), 'OM001', 'a transition that was deleted a moment ago');
ROLLBACK TO one;
SELECT status FROM test.advance(:'s', 'pay_at_door');
COMMIT;
DELETE FROM oms.order_transition WHERE action = 'pay_at_door';
SELECT test.fails(format($$SELECT test.advance(%L, 'pay_at_door')$$, test.make_order()), 'OM001', 'a transition that was deleted');

-- What is built in stays as it is.
SELECT test.fails($$UPDATE oms.order_status SET description = 'x' WHERE status = 'paid'$$, 'OM027', 'update of a built-in state');
SELECT test.fails($$DELETE FROM oms.order_status WHERE status = 'paid'$$, 'OM027', 'delete of a built-in state');
SELECT test.fails($$INSERT INTO oms.order_status (status, builtin) VALUES ('mine', true)$$, 'OM027', 'insert of a state that claims to be built in');
SELECT test.fails($$UPDATE oms.order_status SET builtin = true WHERE status = 'picked'$$, 'OM027', 'a state made built in');
SELECT test.fails($$UPDATE oms.order_transition SET to_status = 'shipped' WHERE from_status = 'pending' AND action = 'reserve'$$, 'OM027', 'update of a built-in transition');
SELECT test.fails($$DELETE FROM oms.order_transition$$, 'OM027', 'delete of all transitions');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type, builtin) VALUES ('paid', 'x', 'paid', 'x', true)$$, 'OM027', 'insert of a transition that claims to be built in');
SELECT test.fails($$UPDATE oms.order_transition SET builtin = true WHERE NOT builtin$$, 'OM027', 'transitions made built in');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('canceled', 'revive', 'pending', 'order.revived')$$, 'OM027', 'a way out of a final state');
SELECT test.fails($$UPDATE oms.order_transition SET from_status = 'refunded' WHERE from_status = 'picked' AND action = 'ship'$$, 'OM027', 'a way moved to a final state');
SELECT test.fails('TRUNCATE oms.order_transition', 'OM027', 'truncate of the transitions');
SELECT test.fails('TRUNCATE oms.order_status CASCADE', 'OM027', 'truncate of the states');

-- What an owner writes is checked.
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('pending', 'reserve', 'paid', 'order.paid')$$, '23505', 'a second way for a built-in action');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('paid', 'x', 'nowhere', 'order.x')$$, '23503', 'a transition to an unknown state');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('paid', 'Not A Name', 'paid', 'order.x')$$, '23514', 'an action that is no name');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type, effect) VALUES ('paid', 'x', 'paid', 'order.x', 'explode')$$, '23514', 'an unknown effect');
SELECT test.fails($$INSERT INTO oms.order_status (status) VALUES ('')$$, '23514', 'a state without a name');
SELECT test.fails($$INSERT INTO oms.order_status (status) VALUES (NULL)$$, '23502', 'NULL as a state');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES (NULL, 'x', 'paid', 'order.x')$$, '23502', 'NULL as the state to leave');
SELECT test.fails($$INSERT INTO oms.order_transition (from_status, action, to_status, event_type, builtin) VALUES ('paid', 'x', 'paid', 'order.x', NULL)$$, '23502', 'NULL as builtin');
SELECT test.fails($$UPDATE oms.order_transition SET from_status = NULL WHERE from_status = 'picked'$$, '23502', 'NULL put into the state to leave');
SELECT test.fails($$SELECT oms.order_rules_changed()$$, '39P01', 'the trigger function called by hand');

-- A state that is in use and vanishes is found; the order in it can still be brought back by force.
SELECT test.make_order('confirmed') AS l \gset
SELECT status FROM test.advance(:'l', 'pick');
DELETE FROM oms.order_transition WHERE from_status = 'picked' OR to_status = 'picked';
DELETE FROM oms.order_status WHERE status = 'picked';
SELECT check_name, replace(object, :'l', 'ORDER') AS object, detail FROM oms.check_integrity();
SELECT test.fails(format($$SELECT test.advance(%L, 'ship')$$, :'l'), 'OM003', 'no way leads out of a state that is gone');
SELECT status FROM oms.force_order(:'l', 'confirmed', 'the warehouse burnt down', 'ann', test.key());
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
