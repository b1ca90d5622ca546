# Goal: a bookmark, which is kept outside of the database, survives what the database survives and is refused by a history that does not have its
# place: believed after a crash and by a standby that had everything, refused by one that had not and by a restore into another cluster.
# Method: bookmarks before and after the moment at which a standby is cut off; a crash of the primary with asynchronous writers; the promotion; a
# dump into a cluster of its own. Whoever resumes reads on, and what is read is compared with the log.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $primary = new_cluster('primary', streaming => 1);
$primary->safe_psql('postgres', "SELECT oms.create_reader('kept', '{t}', 'beginning')");
$primary->safe_psql('postgres', "SELECT append('s' || n, 5) FROM generate_series(1, 4) n");

# Reads so many events without confirming any, and writes down the place behind the last.
sub bookmark_behind
{
	my ($node, $count) = @_;
	return $node->safe_psql('postgres', <<"SQL");
SELECT oms.attach_reader('kept', 10000) \\gset
SELECT max(id) AS last FROM oms.read_events('kept', $count) \\gset
SELECT bookmark FROM oms.reader_bookmark('kept', :last);
SQL
}

# Resumes and reads on, all in a transaction that is rolled back.
sub resumed
{
	my ($node, $bookmark) = @_;
	return $node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT outcome, reason FROM oms.resume_reader('kept', '$bookmark') \\gset
SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') AS ids FROM oms.read_events('kept') \\gset
ROLLBACK;
SELECT :'outcome', CASE :'outcome' WHEN 'refused' THEN regexp_replace(:'reason', '[0-9A-F]+/[0-9A-F]+', 'X/X') ELSE '' END, :'ids';
SQL
}

# A crash. What asynchronous transactions wrote may be lost, with their transaction ids; what a bookmark depends on is not.
my $first = bookmark_behind($primary, 7);
$primary->safe_psql('postgres', "SET synchronous_commit = off; SELECT append('lazy', 3)");
my $behind_lazy = bookmark_behind($primary, 23);
$primary->safe_psql('postgres', "SET synchronous_commit = off; SELECT append('lazier', 3); SELECT txid_current() FROM generate_series(1, 3)");
$primary->stop('immediate');
$primary->start;
is(resumed($primary, $first), 'resumed||' . $primary->safe_psql('postgres', 'SELECT string_agg(id::text, \',\' ORDER BY id) FROM oms.event WHERE id > 7'),
	'after a crash a bookmark is believed');
is($primary->safe_psql('postgres', "SELECT count(*) FROM oms.event WHERE aggregate_id = 'lazy'"), '3', 'what was handed out is there');
like(resumed($primary, $behind_lazy), qr/^resumed\|\|/, 'also one that was written right behind asynchronous commits');

# The cut.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $all = $primary->safe_psql('postgres', 'SELECT count(*) FROM oms.event');
my $before_cut = bookmark_behind($primary, $all);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die 'the standby was not cut off';
$primary->safe_psql('postgres', "SELECT append('gone', 10)");
my $behind_cut = bookmark_behind($primary, $all + 10);
like(resumed($primary, $behind_cut), qr/^resumed\|\|$/, 'the primary believes it');
my $dump = $primary->backup_dir . '/dump.sql';
command_ok([ 'pg_dump', '-d', $primary->connstr('postgres'), '-f', $dump ], 'a dump of the primary');
$primary->stop('immediate');

$standby->promote;
is(resumed($standby, $before_cut), 'resumed||', 'the promoted standby believes a bookmark of the time before it was cut off');
like(resumed($standby, $behind_cut), qr/^refused\|it was written at X\/X of timeline 1, which is not part of this server's history\|/, 'and refuses one of the time after');
$standby->safe_psql('postgres', "SELECT append('new' || n, 10) FROM generate_series(1, 100) n");
like(resumed($standby, $behind_cut), qr/^refused\|it was written at X\/X of timeline 1/, 'also when its own history has come further than that');
is($standby->safe_psql('postgres', "SELECT count(*) FROM oms.read_events('kept', 10000)"), $all + 1000, 'then the stored position counts');
my $of_standby = bookmark_behind($standby, $all + 500);
$standby->stop('immediate');
$standby->start;
like(resumed($standby, $of_standby), qr/^resumed\|\|/, 'its own bookmarks are believed');
is($standby->safe_psql('postgres', "SELECT count(*) FROM oms.resume_reader('kept', '$of_standby') WHERE outcome = 'resumed'"), '1', 'it goes on there');
is($standby->safe_psql('postgres', "SELECT count(*) FROM oms.read_events('kept', 10000)"), '500', 'behind exactly what was read');

# Another cluster.
my $copy = new_cluster('copy', bare => 1);
$copy->safe_psql('postgres', 'SELECT 1');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $copy->connstr('postgres'), '-f', $dump ], 'the dump is restored');
like(resumed($copy, $behind_cut), qr/^refused\|it comes from the cluster \d+, this one is \d+\|/, 'a restored dump refuses the bookmark of the old cluster');
done_testing();
