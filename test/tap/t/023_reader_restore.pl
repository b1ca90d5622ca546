# Goal: readers go on after a dump and restore into another cluster, into another database of the same cluster, and after pg_upgrade: what was
# delivered stays delivered, what was not is delivered, once.
# Method: four readers stand at different places (in the middle of a page, beside a transaction that was still running, at the end, at the
# beginning) when the database is moved; what each has consumed is a table that moves along. The clusters' transaction ids are far apart.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my @readers = ('middle', 'beside', 'end', 'beginning');

my $old = new_cluster('old');
# Five thousand transactions, so that the new clusters have not come to these ids yet.
$old->safe_psql('postgres', 'CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$old->safe_psql('postgres', 'CALL burn()');
$old->safe_psql('postgres', 'CREATE TABLE got (reader text, id bigint)');
$old->safe_psql('postgres', "SELECT oms.create_reader('$_', '{t}', 'beginning')") for (@readers);
$old->safe_psql('postgres', "SELECT count(append('s' || n, 10)) FROM generate_series(1, 10) n");
consume($old, 'postgres', 'middle', 35);
my $slow = $old->background_psql('postgres', on_error_die => 1);
$slow->query_safe("BEGIN; SELECT append('slow', 3)");
$old->safe_psql('postgres', "SELECT append('after', 20)");
consume($old, 'postgres', 'beside', 1000);
$slow->query_safe('COMMIT');
$slow->quit;
consume($old, 'postgres', 'end', 1000);
# A dead letter with an attempt that is open, a policy, a receipt: they move along.
$old->safe_psql('postgres', "SELECT oms.set_topic_policy('t', 'block_key', true)");
$old->safe_psql('postgres', "SELECT oms.reject_event('end', 5, 'bad', 1)");
$old->safe_psql('postgres', "SELECT * FROM oms.dlq_replay(filter => '{}', dry_run => false, reason => 'x')");
$old->safe_psql('postgres', "SELECT oms.record_receipts('end', '{1}', '{t}', '{0}', '{1}', '{2026-01-01}')");

my $everything = q{SELECT md5(string_agg(t, E'\n' ORDER BY t)) FROM (
	SELECT 'event' || e::text AS t FROM oms.event e UNION ALL SELECT 'reader' || r::text FROM oms.reader r UNION ALL
	SELECT 'position' || p::text FROM oms.reader_position p UNION ALL SELECT 'life' || l::text FROM oms.log_life l UNION ALL
	SELECT 'dead' || d::text FROM oms.dead_letter d UNION ALL SELECT 'attempt' || a::text FROM oms.replay_attempt a UNION ALL
	SELECT 'receipt' || r::text FROM oms.receipt r UNION ALL SELECT 'policy' || p::text FROM oms.topic_policy p UNION ALL
	SELECT 'outbox' || o::text FROM oms.outbox o UNION ALL SELECT 'sequence' || last_value FROM oms.event_id_seq UNION ALL SELECT 'got' || g::text FROM got g) all_rows};
my $state = $old->safe_psql('postgres', $everything);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$old->command_ok(['pg_dump', '-d', $old->connstr('postgres'), '-f', $dump], 'the database is dumped');

sub restore
{
	my ($node, $database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $dump], "and restored as $database");
	is($node->safe_psql($database, $everything), $state, "$database: all rows are the same");
	return;
}

# Into another cluster.
my $new = new_cluster('new', bare => 1);
restore($new, 'elsewhere');
$new->safe_psql('elsewhere', "SELECT append('new', 30)");
my (undef, undef, $notice) = $new->psql('elsewhere', "SELECT count(*) FROM oms.read_events('middle', 1)");
like($notice, qr/NOTICE:  reader "middle" goes over to another cluster/, 'the reader says that it goes over');
my $slow_new = $new->background_psql('elsewhere', on_error_die => 1);
$slow_new->query_safe("BEGIN; SELECT append('slow', 2)");
has_read_everything($new, 'elsewhere', 'another cluster', @readers);
$slow_new->query_safe('COMMIT');
$slow_new->quit;
has_read_everything($new, 'elsewhere', 'another cluster, what was late', @readers);
is($new->safe_psql('elsewhere', 'SELECT count(*), max(life) FROM oms.log_life'), '2|2', 'a second life of the log');
is($new->safe_psql('elsewhere', "SELECT e.id, status FROM oms.take_replays('end') t JOIN oms.dead_letter d USING (dead_letter_id) JOIN oms.event e ON e.id = t.id"),
	'5|replaying', 'the open attempt is taken there');

# Readers that read before anything is appended record the life, too.
restore($new, 'quiet');
has_read_everything($new, 'quiet', 'another cluster, reading first', @readers);

# Into another database of the same cluster: the same transaction ids, the same life.
restore($old, 'beside_it');
$old->safe_psql('beside_it', "SELECT append('new', 30)");
has_read_everything($old, 'beside_it', 'the same cluster', @readers);
is($old->safe_psql('beside_it', 'SELECT count(*) FROM oms.log_life'), '1', 'still the first life');

# pg_upgrade: a new cluster identifier, while transaction ids go on.
$old->safe_psql('postgres', 'DROP DATABASE beside_it');
$old->stop;
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
$upgraded->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
my $bin = $old->config_data('--bindir');
my $dir = PostgreSQL::Test::Utils::tempdir();
chdir $dir or die;
command_ok(['pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $upgraded->data_dir, '-b', $bin, '-B', $bin, '-s', $upgraded->host,
		'-p', $old->port, '-P', $upgraded->port], 'the cluster is upgraded');
$upgraded->start;
is($upgraded->safe_psql('postgres', $everything), $state, 'upgraded: all rows are the same');
$upgraded->safe_psql('postgres', "SELECT append('new', 30)");
has_read_everything($upgraded, 'postgres', 'upgraded', @readers);
is($upgraded->safe_psql('postgres', 'SELECT max(life) FROM oms.log_life'), '2', 'upgraded: a second life of the log');

done_testing();
