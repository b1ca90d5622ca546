# Goal: a dump holds everything: pg_dump into another cluster gives the same tables and sequences, the owner's rules among them, and work goes on there.
# Method: a database with something in every table, dumped and restored; every table is compared row by row; then commands on old and new orders.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $from = PostgreSQL::Test::Cluster->new('from');
$from->init;
$from->start;
$from->safe_psql('postgres', <<'SQL');
CREATE EXTENSION oms;
CREATE ROLE shop;
SELECT oms.grant_application('shop');
INSERT INTO oms.order_status (status) VALUES ('picked');
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('confirmed', 'pick', 'picked', 'order.picked'), ('picked', 'ship', 'shipped', 'order.shipped');
INSERT INTO oms.topic_route (aggregate_type, type, topic) VALUES ('order', 'order.held', 'holds'), ('diary', '*', 'diaries');
SELECT (oms.create_order('customer-' || g % 7, 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 500, "colour": "red"}]', 'create-' || g, 'ref-' || g, '{"note": 1}')).order_id FROM generate_series(1, 50) g;
SELECT oms.advance_order(order_id, 'reserve', 'reserve-' || order_id) FROM oms.orders WHERE customer_id <> 'customer-3';
SELECT oms.advance_order(order_id, 'pay', 'pay-' || order_id) FROM oms.orders WHERE status = 'reserved' AND customer_id < 'customer-3';
SELECT oms.advance_order(order_id, 'confirm', 'confirm-' || order_id) FROM oms.orders WHERE status = 'paid';
SELECT oms.advance_order(order_id, 'pick', 'pick-' || order_id) FROM oms.orders WHERE customer_id = 'customer-1';
SELECT oms.hold_order(order_id, 'look', 'hold-' || order_id) FROM oms.orders WHERE customer_id = 'customer-5';
SELECT oms.force_order(order_id, 'canceled', 'mistake', 'anna', 'force-' || order_id) FROM oms.orders WHERE customer_id = 'customer-6';
SELECT oms.define_saga('parcel', '{"steps": [{"name": "pack", "kind": "task", "queue": "house", "task": "pack", "deadline_ms": 86400000, "compensation": null}]}');
SELECT oms.start_saga('parcel', '{}', 'parcel-' || g) FROM generate_series(1, 3) g;
SELECT oms.set_stock('a', 100, 'stock-a');
SELECT oms.pay_order(order_id, 'fulfil'), oms.queue_command(order_id, 'ship_order', '{}', 'later') FROM oms.create_order('customer-9', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'create-51');
SELECT oms.append_events('diary', 'd' || g % 5, NULL, '[{"type": "written", "payload": {}}]') FROM generate_series(1, 20) g;
SQL

my $to = PostgreSQL::Test::Cluster->new('to');
$to->init;
$to->start;
$to->safe_psql('postgres', 'CREATE ROLE shop');
my $file = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
command_ok([ 'pg_dump', '-f', $file, '-d', $from->connstr('postgres') ], 'pg_dump');
my $restored = $to->psql('postgres', "\\i $file", on_error_stop => 1);
is($restored, 0, 'the dump is restored without an error');

my @tables = split /\n/, $from->safe_psql('postgres', q(SELECT c.oid::regclass FROM pg_class c
    WHERE relnamespace = 'oms'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1));
cmp_ok(scalar @tables, '>', 8, 'the tables of the extension are compared');
for my $table (@tables)
{
	# The built-in definitions are the new cluster's own, with the time of their birth there.
	my $which = $table eq 'oms.saga_definition' ? 'WHERE NOT builtin' : '';
	my $contents = "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM $table t $which";
	is($to->safe_psql('postgres', $contents), $from->safe_psql('postgres', $contents), "$table is the same");
}
my $sequences = q(SELECT string_agg(format('%s %s', sequencename, last_value), ', ' ORDER BY sequencename) FROM pg_sequences WHERE schemaname = 'oms');
is($to->safe_psql('postgres', $sequences), $from->safe_psql('postgres', $sequences), 'the sequences stand where they stood');

# Work goes on: old orders by the owner's rules, new ones, replays, and the rights of the application.
is($to->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', 'the invariants hold');
is($to->safe_psql('postgres', q(SET ROLE shop; SELECT replayed FROM oms.create_order('customer-1', 'EUR', '[{"sku": "a", "qty": 2, "price_minor": 500, "colour": "red"}]', 'create-1', 'ref-1', '{"note": 1}'))),
	't', 'an answer given before the dump is given again, to the application role');
is($to->safe_psql('postgres', q(SELECT DISTINCT (oms.advance_order(order_id, 'ship', 'ship-' || order_id)).status FROM oms.orders WHERE status = 'picked')),
	'shipped', 'the owner\'s transitions are in force');
is($to->safe_psql('postgres', q(SELECT status FROM oms.create_order('new', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'new'))), 'pending', 'a new order');
is($to->safe_psql('postgres', q(SELECT count(oms.complete_task(task_id, lease_epoch)) FROM oms.claim_tasks('house', 10))), 3, 'the tasks of sagas are there to be done');
$to->safe_psql('postgres', q(SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks('payments'))) for 1 .. 2;
$to->safe_psql('postgres', 'SELECT oms.run_due()');
is($to->safe_psql('postgres', q(SELECT o.status, c.status FROM oms.orders o JOIN oms.queued_command c USING (order_id))), 'shipped|done',
	'a queued command is carried out');
is($to->safe_psql('postgres', q(SELECT count(*) FROM oms.saga WHERE status = 'completed' AND definition = 'parcel')), 3, 'and the sagas go on to their end');
$to->safe_psql('postgres', q(SELECT oms.append_events('diary', 'd1', NULL, '[{"type": "written", "payload": {}}]')));
is($to->safe_psql('postgres', 'SELECT topic FROM oms.event ORDER BY id DESC LIMIT 1'), 'diaries', 'the owner\'s routes are in force');
my ($status, undef, $stderr) = $to->psql('postgres', q(UPDATE oms.event SET seq = 1));
like($stderr, qr/the log only grows/, 'the log is still protected');
is($to->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', 'the invariants hold after the work');
done_testing();
