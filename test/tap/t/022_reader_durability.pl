# Goal: nothing is handed out that a crash could still undo; and if it is asked for, nothing that a failover could.
# Method: transactions with synchronous_commit = off, whose commits are visible and not on disk. One is read through a reader, then the server is
# stopped at once. The same without the reader shows that the event would have been lost.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('durable', streaming => 1, conf => "fsync = on\nbgwriter_lru_maxpages = 0\ncheckpoint_timeout = 1h\n");
$node->safe_psql('postgres', "SELECT oms.create_reader('r', '{t}')");

# Stops the process that would write such commits to disk soon.
sub stop_wal_writer
{
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
	kill 'STOP', $pid;
	return $pid;
}

# Kills the server. Its other processes notice that and leave; until they have, it does not start again.
sub crash
{
	my ($stopped) = @_;
	my @others = split /,/, $node->safe_psql('postgres', "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
	$node->kill9;
	kill 'KILL', $stopped;
	for my $pid (@others)
	{
		while (kill 0, $pid) { select(undef, undef, undef, 0.01); }
	}
	$node->start;
	return;
}

sub append_async
{
	my ($stream) = @_;
	return $node->safe_psql('postgres', "SET synchronous_commit = off; SELECT append('$stream')");
}

for my $round (1 .. 2)
{
	my $stopped = stop_wal_writer();
	my $id = append_async("seen $round");
	is($node->safe_psql('postgres', "SELECT aggregate_id FROM oms.event WHERE id = $id"), "seen $round", "round $round: a query sees an event");
	crash($stopped);
	is($node->safe_psql('postgres', "SELECT count(*) FROM oms.event WHERE aggregate_id = 'seen $round'"), '0', "round $round: that is gone after the crash");

	$stopped = stop_wal_writer();
	$id = append_async("read $round");
	is($node->safe_psql('postgres', "SELECT id FROM oms.read_events('r')"), $id, "round $round: a reader hands out an event");
	crash($stopped);
	is($node->safe_psql('postgres', "SELECT aggregate_id FROM oms.event WHERE id = $id"), "read $round", "round $round: that is there after the crash");
	$node->safe_psql('postgres', "BEGIN; SELECT id FROM oms.read_events('r'); SELECT oms.commit_reader('r'); COMMIT;");
}

# A position that is lost in a crash is older: events are read again, none is missed.
my $session = $node->background_psql('postgres', on_error_die => 1);
$session->query_safe('SET synchronous_commit = off');
$session->query_safe("SELECT append('again', 3)");
$session->query_safe("SELECT oms.attach_reader('r')");
is($session->query_safe("SELECT count(*) FROM oms.read_events('r')"), '3', 'three events are read');
$session->query_safe("SELECT oms.commit_reader('r')");
$node->stop('immediate');
eval { $session->quit };
$node->start;
my $again = $node->safe_psql('postgres', "BEGIN; SELECT count(*) FROM oms.read_events('r'); SELECT oms.commit_reader('r'); COMMIT;");
like($again, qr/^[03]$/m, 'none of them or all are read again');
is($node->safe_psql('postgres', "SELECT count(*) FROM oms.read_events('r')"), '0', 'and then no more');

# A standby: it refuses readers, and shows where they stand.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
for my $call ("SELECT * FROM oms.read_events('r')", "SELECT oms.commit_reader('r')", "SELECT oms.attach_reader('r')", "SELECT oms.create_reader('s')", "SELECT oms.drop_reader('r')")
{
	my (undef, undef, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
	like($err, qr/OM030: readers read on the primary only/, "on a standby: $call");
}
is($standby->safe_psql('postgres', 'SELECT name, lag_events, lag_seconds IS NULL FROM oms.reader_status()'), 'r|0|t', 'a standby shows where readers stand');

# oms.publish_after: an event whose writer did not wait for the standby is held back until the standby has it.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'\n");
$node->reload;
$node->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication");
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'");
my $id = $node->safe_psql('postgres', "SET synchronous_commit = local; SELECT append('replicated')");
is($node->safe_psql('postgres', "SELECT id FROM oms.read_events('r')"), $id, 'local: it is handed out at once');
my $waiting = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
$waiting->query_safe("SET oms.publish_after = 'remote_apply'");
$waiting->query_safe("SET application_name = 'waiting'");
$waiting->query_until(qr/asked/, "\\echo asked\nSELECT 'read ' || id FROM oms.read_events('r');\n");
ok($node->poll_query_until('postgres', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE application_name = 'waiting'"), 'remote_apply: the reader waits for the standby');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'");
is($waiting->query("SELECT 'canceled'"), 'canceled', 'the wait can be canceled');
like($waiting->{stderr}, qr/ERROR:.*the synchronous standby has not confirmed the events/, 'and then nothing is handed out');
$waiting->query_until(qr/asked again/, "\\echo asked again\nSELECT 'read ' || id FROM oms.read_events('r');\n");
$node->poll_query_until('postgres', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE application_name = 'waiting'");
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
like($waiting->query("SELECT 'done'"), qr/^read $id\ndone$/m, 'it is handed out when the standby has applied it');
$waiting->quit;

# A promoted standby goes on with the same life of the log, and with the position it had.
$node->safe_psql('postgres', "BEGIN; SELECT id FROM oms.read_events('r'); SELECT oms.commit_reader('r'); SELECT append('last', 2); COMMIT;");
$node->wait_for_catchup($standby);
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()");
is($standby->safe_psql('postgres', "SELECT count(*) FROM oms.read_events('r')"), '2', 'after a promotion the rest is read');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM oms.log_life'), '1', 'in the same life of the log');

done_testing();
