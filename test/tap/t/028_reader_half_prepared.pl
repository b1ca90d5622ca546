# Goal: a transaction that is being prepared is in a snapshot twice for a moment; a position that a reader stores in that moment is one like any other.
# Method: PREPARE TRANSACTION waits for a standby that does not exist, which is that moment, for as long as the test wants. A reader reads what was committed
# beside it, stores its position, and goes on from there in another session.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('half_prepared', streaming => 1, conf => "synchronous_commit = local\n");
$node->safe_psql('postgres', "CREATE TABLE got (reader text, id bigint); SELECT oms.create_reader('r', '{t}')");
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = 'nobody'");

my ($out, $err) = ('', '');
my $preparing = IPC::Run::start(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
		'-c', 'SET synchronous_commit = on', '-c', 'BEGIN', '-c', "SELECT append('prepared')", '-c', "PREPARE TRANSACTION 'p'"
	],
	'>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") or die "not waiting: $err";

for my $round (1 .. 3)
{
	$node->safe_psql('postgres', "SELECT append('beside')");
	consume($node, 'postgres', 'r', 40);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM got'), $round, "round $round: what was committed beside it is read");
}
is($node->safe_psql('postgres', "SELECT cardinality(from_bounds) FROM oms.reader_position WHERE reader = 'r'"), '2', 'the position knows one running transaction');

$node->adjust_conf('postgresql.conf', 'synchronous_standby_names', "''");
$node->reload;
ok(IPC::Run::finish($preparing), 'it is prepared') or diag($err);
$node->safe_psql('postgres', "SELECT append('beside')");
consume($node, 'postgres', 'r', 40);
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
has_read_everything($node, 'postgres', 'committed later', 'r');
is($node->safe_psql('postgres', 'SELECT count(*) FROM got'), '5', 'all of it');

done_testing();
