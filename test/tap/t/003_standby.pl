# Goal: every query works on a hot standby and gives what the primary gives; a command there is refused and the session works on.
# Method: a streaming standby that has caught up; the same calls on both.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION oms;
SELECT oms.create_order('c' || g % 3, 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 5}]', 'k' || g) FROM generate_series(1, 20) g;
SELECT oms.advance_order(order_id, 'reserve', 'r' || order_id) FROM oms.orders;
SELECT oms.append_events('diary', 'd', NULL, '[{"type": "written", "payload": {}}]');
SQL
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

for my $query (
	'SELECT oms.get_order(order_id) FROM oms.orders ORDER BY order_id',
	'SELECT t.* FROM oms.orders o, oms.order_timeline(o.order_id) t ORDER BY event_id',
	q(SELECT * FROM oms.list_orders('{"status": "reserved", "customer_id": "c1"}', NULL, 5)),
	q(SELECT * FROM oms.list_events('{"type": ["order.created"]}', NULL, 7)),
	q(SELECT * FROM oms.read_stream('diary', 'd')),
	'SELECT * FROM oms.order_machine()',
	'SELECT * FROM oms.check_integrity()')
{
	my $wanted = $primary->safe_psql('postgres', $query);
	is($standby->safe_psql('postgres', $query), $wanted, $query);
}

my ($status, $stdout, $stderr) = $standby->psql('postgres', <<'SQL', on_error_stop => 0);
\set VERBOSITY sqlstate
SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 5}]', 'standby');
SELECT oms.advance_order((SELECT order_id FROM oms.orders LIMIT 1), 'pay', 'standby');
SELECT 'still here';
SQL
my $refusals = () = $stderr =~ /25006/g;
is($refusals, 2, 'commands are refused as on any read-only server');
like($stdout, qr/still here/, 'the session works on');

# Promoted, it goes on where the primary was.
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', q(SELECT replayed FROM oms.create_order('c1', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 5}]', 'k1'))), 't',
	'after the promotion an old answer is given again');
is($standby->safe_psql('postgres', q(SELECT DISTINCT (oms.advance_order(order_id, 'pay', 'p' || order_id)).status FROM oms.orders)), 'paid', 'and orders move on');
is($standby->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', 'the invariants hold');
done_testing();
