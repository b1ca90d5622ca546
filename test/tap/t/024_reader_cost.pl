# Goal: what a read costs depends on what it reads, not on how long the log is, how often positions were stored, or what other sessions hold open.
# Method: pages touched (EXPLAIN BUFFERS), before and after many commits beside a session that holds a snapshot, one that holds a transaction id
# in another database, and one that has written an event and stays open.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('cost', conf => "synchronous_commit = off\nmax_locks_per_transaction = 128\n");
$node->safe_psql('postgres', "CREATE DATABASE other");
$node->safe_psql('postgres', "SELECT oms.create_reader('r', '{t}')");

sub pages
{
	my ($sql, $session) = @_;
	my $plan = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) $sql";
	my $answer = defined $session ? $session->query_safe($plan) : $node->safe_psql('postgres', "$sql; $plan");
	my ($top) = $answer =~ /Buffers: (.*)/;
	my $sum = 0;
	$sum += $1 while ($top // '') =~ /(?:hit|read)=(\d+)/g;
	return $sum;
}

my $reader = $node->background_psql('postgres', on_error_die => 1);
$reader->query_safe("SELECT oms.attach_reader('r')");
my $idle_read = "SELECT count(*) FROM oms.read_events('r')";
my $newest = "SELECT * FROM oms.reader_position WHERE reader = 'r' ORDER BY generation DESC LIMIT 1";
sub read_all { return $reader->query_safe("SELECT count(*) FROM oms.read_events('r', 100000)"); }
sub confirm { $reader->query_safe("SELECT oms.commit_reader('r')"); return; }

$node->safe_psql('postgres', "SELECT append('s', 10)");
is(read_all(), '10', 'ten events');
confirm();
$reader->query_safe($idle_read) for (1 .. 3);
my $idle_before = pages($idle_read, $reader);
my $newest_before = pages($newest, $reader);

# A snapshot in this database, a transaction id in another one, a transaction here that has an id and has not written to the log.
my $snapshot = $node->background_psql('postgres', on_error_die => 1);
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM oms.event');
my $elsewhere = $node->background_psql('other', on_error_die => 1);
$elsewhere->query_safe('BEGIN; SELECT pg_current_xact_id()');
my $idle = $node->background_psql('postgres', on_error_die => 1);
$idle->query_safe('BEGIN; SELECT pg_current_xact_id()');

# 3,000 positions, one for each of as many reads.
$node->safe_psql('postgres', "CREATE PROCEDURE load(rounds integer) LANGUAGE plpgsql AS \$\$ BEGIN FOR i IN 1 .. rounds LOOP PERFORM append('s' || i % 50, 10); COMMIT; END LOOP; END \$\$");
$reader->query_safe(<<'SQL');
CREATE PROCEDURE read_and_confirm(rounds integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. rounds LOOP
        PERFORM append('s' || i % 50, 10);
        COMMIT;
        PERFORM count(*) FROM oms.read_events('r');
        PERFORM oms.commit_reader('r');
        COMMIT;
    END LOOP;
END $$
SQL
$reader->query_safe('CALL read_and_confirm(3000)');
is($reader->query_safe("SELECT generation FROM oms.reader_position WHERE reader = 'r'"), '3002', '3,001 positions were stored');
is($reader->query_safe($idle_read), '0', 'and everything was read');
cmp_ok(pages($newest, $reader), '<=', $newest_before + 4, 'the newest position is found at once, though every one before is a dead row that the snapshot keeps');
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 4, 'a read that finds nothing touches as many pages as before 30,000 events');
$reader->query_safe("SELECT append('s', 1)");
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 12, 'one that finds an event touches hardly more');
confirm();

# When those transactions end, nothing of the 30,000 is scanned again: they have drawn no event ids.
$snapshot->quit;
$elsewhere->query_safe('COMMIT');
$elsewhere->quit;
$idle->query_safe('COMMIT');
$node->safe_psql('postgres', "SELECT append('s', 1)");
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 60, 'the end of a transaction that wrote no event costs at most a thousand ids');
confirm();

# A transaction that did: while it is open nothing is scanned for it; at its end its range is, once, and its event comes.
my $writer = $node->background_psql('postgres', on_error_die => 1);
$writer->query_safe("BEGIN; SELECT append('early', 1)");
$node->safe_psql('postgres', 'CALL load(2500)');
is(read_all(), '25000', '25,000 events while it is open');
confirm();
$node->safe_psql('postgres', "SELECT append('s', 1)");
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 12, 'nothing is scanned for a transaction that is still open');
confirm();
# Also for who starts anew from the stored position.
$reader->query_safe("SELECT oms.detach_reader('r')");
$reader->query_safe("SELECT oms.attach_reader('r')");
$node->safe_psql('postgres', "SELECT append('s', 1)");
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 12, 'nor after a restart');
confirm();
$writer->query_safe("SELECT append('late', 1)");
$writer->query_safe('COMMIT');
$writer->quit;
is($reader->query_safe("SELECT string_agg(aggregate_id, ',') FROM oms.read_events('r')"), 'early,late', 'its two events come when it has ended');
confirm();
$node->safe_psql('postgres', "SELECT append('s', 1)");
cmp_ok(pages($idle_read, $reader), '<=', $idle_before + 12, 'after that reads are as cheap as before');
confirm();

# The outbox finds what is pending or failed without passing what was sent.
$node->safe_psql('postgres', "SELECT append('s', 3)");
my $outbox = "SELECT count(*) FROM oms.outbox WHERE status = 'pending'";
is($node->safe_psql('postgres', "SET oms.outbox_reader = 'r'; $outbox"), '3', 'three are pending');
$reader->query_safe("SET oms.outbox_reader = 'r'");
$reader->query_safe($outbox);
cmp_ok(pages($outbox, $reader), '<=', 40, 'found in the unread part of the log');
cmp_ok(pages("SELECT count(*) FROM oms.outbox WHERE status = 'failed'", $reader), '<=', 40, 'failed ones as well');
my $status = "SELECT lag_events, lag_seconds FROM oms.reader_status('r')";
is($reader->query_safe("SELECT lag_events FROM oms.reader_status('r')"), '3', 'the status knows it');
cmp_ok(pages($status, $reader), '<=', 40, 'without counting');

# Partitions: a walk begins where the reader stands, and the default partition's rows come in their place.
$node->safe_psql('postgres', <<'SQL');
SELECT oms.create_reader('parts', '{p}');
CREATE TABLE ids AS SELECT last_value AS last FROM oms.event_id_seq;
DO $$
DECLARE
    base bigint := (SELECT last FROM ids);
BEGIN
    EXECUTE format('CREATE TABLE oms.event_p1 PARTITION OF oms.event FOR VALUES FROM (%s) TO (%s)', base + 6, base + 11);
    EXECUTE format('CREATE TABLE oms.event_p2 PARTITION OF oms.event FOR VALUES FROM (%s) TO (%s)', base + 16, base + 21);
    EXECUTE format('CREATE TABLE oms.event_p3 PARTITION OF oms.event FOR VALUES FROM (%s) TO (%s)', base + 21, base + 26);
END $$;
SQL
is($node->safe_psql('postgres', "SELECT append('p', 10, 'p')") - $node->safe_psql('postgres', 'SELECT last FROM ids'), '10', 'ten');
$node->safe_psql('postgres', "SELECT append('p', 20, 'p')");
my $pages = $node->safe_psql('postgres', "SELECT string_agg((id - (SELECT last FROM ids))::text, ' ') FROM oms.read_events('parts', 30)");
is($pages, join(' ', 1 .. 30), 'rows of partitions and of the default partition come in the order of ids');
is($node->safe_psql('postgres', "BEGIN; SELECT count(*) FROM oms.read_events('parts', 7); SELECT oms.commit_reader('parts'); COMMIT; SELECT string_agg((id - (SELECT last FROM ids))::text, ' ') FROM oms.read_events('parts', 12)"),
	"7\n\n" . join(' ', 8 .. 19), 'and in pages');

# There is a bound to what a session may read ahead.
$node->safe_psql('postgres', "INSERT INTO oms.event SELECT nextval('oms.event_id_seq'), pg_current_xact_id(), 'bulk', 'bulk', n, 'x', 'bulk', 'k', '{}', '{}', now() FROM generate_series(1, 1000001) n");
$node->safe_psql('postgres', "SELECT oms.create_reader('bulk', '{bulk}', 'beginning')");
my $bulk = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
$bulk->query_safe("SELECT oms.attach_reader('bulk')");
is($bulk->query_safe("SELECT count(*) FROM oms.read_events('bulk', 600000)"), '600000', 'the first 600,000');
is($bulk->query_safe("SELECT count(*) FROM oms.read_events('bulk', 600000)"), '400000', 'as many as there is room for');
my $last = $bulk->query_safe("SELECT max(id) FROM oms.event WHERE topic = 'bulk'") - 1;
$bulk->query("SELECT count(*) FROM oms.read_events('bulk', 1)");
like($bulk->{stderr}, qr/reader "bulk" has too many unconfirmed events/, 'then nothing before some are confirmed');
$bulk->{stderr} = '';
$bulk->query_safe("SELECT oms.commit_reader('bulk', $last)");
is($bulk->query_safe("SELECT count(*) FROM oms.read_events('bulk', 600000)"), '1', 'after which reading goes on');
$bulk->quit;

done_testing();
