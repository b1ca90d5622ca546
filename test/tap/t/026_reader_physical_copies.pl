# Goal: readers go on in a physical copy of the cluster that has lost what came last: a standby that is promoted after it was cut off, a restore to
# a point in time, and that one after pg_upgrade --link. In such a copy ids and transaction ids that were used and lost are used again; what is
# written with them is new, and is read once. What was confirmed and lost is not confirmed.
# Method: readers stand in the middle of a page, beside transactions that are open and prepared, and at the end; then the history is cut, while on
# the old primary more is written and confirmed. What each has consumed is a table of the same database, so it is cut at the same place.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my @readers = ('middle', 'beside', 'end');

my $primary = new_cluster('primary', streaming => 1, archiving => 1);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "archive_mode = off\n");    # its own history is not for the archive that the restore reads
$standby->start;

$primary->safe_psql('postgres', 'CREATE TABLE got (reader text, id bigint)');
$primary->safe_psql('postgres', "SELECT oms.create_reader('$_', '{t}', 'beginning')") for (@readers);
$primary->safe_psql('postgres', "SELECT count(append('s' || n, 10)) FROM generate_series(1, 10) n");
consume($primary, 'postgres', 'middle', 35);

# Transactions that are open at the cut: one will be lost, one is prepared, one commits before the cut, behind a reader that has passed it.
my %open = map { $_ => $primary->background_psql('postgres', on_error_die => 0, on_error_stop => 0) } ('lost', 'late');
$open{$_}->query_safe("BEGIN; SELECT append('$_', 3)") for (sort keys %open);
$primary->safe_psql('postgres', "BEGIN; SELECT append('prepared', 3); PREPARE TRANSACTION 'prepared'");
$primary->safe_psql('postgres', "SELECT append('after', 20)");
consume($primary, 'postgres', 'beside', 1000);
$open{late}->query_safe('COMMIT');
consume($primary, 'postgres', 'end', 1000);

# The cut. The standby has everything until here and gets no more; the restore will end here.
$primary->safe_psql('postgres', "SELECT pg_create_restore_point('cut')");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die 'the standby was not cut off';
my $kept = $primary->safe_psql('postgres', 'SELECT count(*) FROM oms.event');

# More on the old primary: written, read and confirmed.
$primary->safe_psql('postgres', "SELECT append('gone' || n, 10) FROM generate_series(1, 20) n");
$open{lost}->query_safe('COMMIT');
$_->quit for (values %open);
has_read_everything($primary, 'postgres', 'the primary', @readers);
my ($gone, $gone_ids, $gone_xids) = split /\|/, $primary->safe_psql('postgres',
	"SELECT count(*), string_agg(id::text, ','), string_agg(DISTINCT xid::text, ',') FROM oms.event WHERE aggregate_id LIKE 'gone%' OR aggregate_id = 'lost'");
is($gone, '203', 'more events were written and confirmed behind the cut');
my $last_wal = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$last_wal' FROM pg_stat_archiver") or die 'the archive is not complete';

# In a copy: the same log as far as it goes, and then a history of its own.
sub goes_on
{
	my ($node, $what) = @_;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM oms.event'), $kept, "$what: what came behind the cut is lost");
	$node->safe_psql('postgres', "SELECT append('new' || n, 10) FROM generate_series(1, 30) n");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM oms.event WHERE aggregate_id LIKE 'new%' AND id IN ($gone_ids)"), '>', 0,
		"$what: ids that were lost are given to new events");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM oms.event WHERE aggregate_id LIKE 'new%' AND xid::text IN (" . join(',', map { "'$_'" } split /,/, $gone_xids) . ')'), '>', 0,
		"$what: by transactions whose ids were lost");
	has_read_everything($node, 'postgres', $what, @readers);
	$node->safe_psql('postgres', "COMMIT PREPARED 'prepared'");
	has_read_everything($node, 'postgres', "$what, what was prepared", @readers);
	is($node->safe_psql('postgres', "SELECT count(*) FROM got WHERE id IN (SELECT id FROM oms.event WHERE aggregate_id = 'prepared')"), 3 * @readers, "$what: all of that");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM oms.log_life'), '1', "$what: the same life of the log");
	return;
}

$primary->stop('immediate');
$standby->promote;
goes_on($standby, 'promoted');
$standby->stop;

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'base', has_restoring => 1);
$restored->append_conf('postgresql.conf', "recovery_target_name = 'cut'\nrecovery_target_action = 'promote'\narchive_mode = off\n");
$restored->start;
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'the restore did not end';
goes_on($restored, 'restored');

# Upgraded in place, with something left to read.
$restored->safe_psql('postgres', "SELECT append('before the upgrade', 50)");
consume($restored, 'postgres', 'middle', 20);
$restored->stop;
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
my $bin = $restored->config_data('--bindir');
chdir PostgreSQL::Test::Utils::tempdir() or die;
command_ok(['pg_upgrade', '--link', '-d', $restored->data_dir, '-D', $upgraded->data_dir, '-b', $bin, '-B', $bin, '-s', $upgraded->host,
		'-p', $restored->port, '-P', $upgraded->port], 'the cluster is upgraded in place');
$upgraded->start;
$upgraded->safe_psql('postgres', "SELECT append('after the upgrade', 50)");
has_read_everything($upgraded, 'postgres', 'upgraded', @readers);
is($upgraded->safe_psql('postgres', 'SELECT count(*), max(life) FROM oms.log_life'), '2|2', 'upgraded: a second life of the log');

# What a DBA does so that no id is given twice: to readers the ids that are passed over are a hole.
$upgraded->safe_psql('postgres', "SELECT setval('oms.event_id_seq', last_value + 1000000) FROM oms.event_id_seq");
$upgraded->safe_psql('postgres', "SELECT append('behind the hole', 50)");
has_read_everything($upgraded, 'postgres', 'ids passed over', @readers);

done_testing();
