# Goal: a crash in the middle of a backlog neither loses an event nor starts over: reading goes on behind what was confirmed.
# Method: a backlog of 30,000 events with a transaction that is still open; the backend that reads it is killed with signal 9, which takes the
# whole server through recovery, at three points; a consumer notes what it got in the transaction that confirms it.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('crash', conf => "restart_after_crash = on\n");
$node->safe_psql('postgres', <<'SQL');
SELECT oms.create_reader('r', '{t}');
CREATE TABLE got (place bigserial PRIMARY KEY, id bigint UNIQUE);
CREATE TABLE pages (size bigint);
SQL
my $slow = $node->background_psql('postgres', on_error_die => 1);
$slow->query_safe('BEGIN');
$slow->query_safe("SELECT append('slow', 10)");
$node->safe_psql('postgres', "SELECT count(append('s' || n, 100)) FROM generate_series(1, 300) n");

# What is confirmed and what is noted are one transaction.
my $consume = 'INSERT INTO got (id) SELECT id FROM oms.read_events(\'r\', 1000); SELECT oms.commit_reader(\'r\');';

sub kill_backend
{
	my ($session) = @_;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	kill 'KILL', $pid;
	$node->poll_query_until('postgres', "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	eval { $session->quit };
	return;
}

my $sum = 0;
for my $round (1 .. 3)
{
	my $reader = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
	is($reader->query_safe("SELECT oms.attach_reader('r')"), 't', "round $round: the reader is free after the crash");
	for (1 .. 5) { $reader->query_safe("BEGIN; $consume COMMIT;"); }
	# Read ahead, and a transaction that is open at the crash.
	$reader->query_safe("SELECT count(*) FROM oms.read_events('r', 1000)");
	$reader->query_safe("BEGIN; $consume");
	kill_backend($reader);
	$sum += 5000;
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM got'), "$sum|$sum", "round $round: what was confirmed is kept, once");
}
# The crash took the slow transaction with it; what it drew is not there.
eval { $slow->quit };
my ($before) = $node->safe_psql('postgres', "SELECT pg_stat_get_tuples_fetched('oms.event_default'::regclass)");
for (1 .. 16) { $node->safe_psql('postgres', "BEGIN; $consume COMMIT;"); }
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM got'), '30000|30000', 'all were read, each once');
is($node->safe_psql('postgres', "SELECT count(*) FROM oms.event e WHERE topic = 't' AND NOT EXISTS (SELECT FROM got g WHERE g.id = e.id)"), '0', 'none was missed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT id - lag(id) OVER (ORDER BY place) AS step FROM got) s WHERE step < 0'), '0', 'in the order of ids');
# The consumer, which was not attached, read page by page from the stored position: had each call scanned the backlog from its beginning, or from
# where the open transaction drew its ids, it would have fetched it many times over.
my $fetched = $node->safe_psql('postgres', "SELECT pg_stat_get_tuples_fetched('oms.event_default'::regclass)") - $before;
cmp_ok($fetched, '<', 20_000, "the rest of the backlog was fetched once: $fetched rows");

done_testing();
