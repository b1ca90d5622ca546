# Goal: a reader's next owner takes over when the owner is gone; and a relay that goes to sleep while somebody is committing is told to look again.
# Method: sessions that wait for the reader while its owner is terminated; a commit that hangs because the synchronous standby does not exist.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('takeover', streaming => 1);
$node->safe_psql('postgres', "SELECT oms.create_reader('r', '{t}')");
$node->safe_psql('postgres', "SELECT append('s', 10)");

my $leader = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
is($leader->query_safe("SELECT oms.attach_reader('r')"), 't', 'the leader owns the reader');
$leader->query_safe("SELECT count(*) FROM oms.read_events('r', 4)");
my $confirmed = $leader->query_safe("SELECT oms.commit_reader('r', (SELECT max(id) FROM oms.event) - 7)");
my $pid = $leader->query_safe('SELECT pg_backend_pid()');
is($node->safe_psql('postgres', "SELECT oms.attach_reader('r', 50)"), 'f', 'nobody else gets it in vain');

my $standby = $node->background_psql('postgres', on_error_die => 1);
$standby->query_safe("SET application_name = 'standby'");
$standby->query_until(qr/asked/, "\\echo asked\nSELECT 'took over ' || oms.attach_reader('r', 60000);\n");
$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE application_name = 'standby'");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
like($standby->query('SELECT 1'), qr/^took over true$/m, 'a waiting session takes over when the owner is gone');
is($standby->query_safe("SELECT count(*) FROM oms.read_events('r')"), '7', 'and begins behind what was confirmed');
is($standby->query_safe("SELECT owner_pid = pg_backend_pid() FROM oms.reader_status('r')"), 't', 'it is the owner now');
eval { $leader->quit };

# A wait that is canceled leaves the session as it was.
my $third = $node->background_psql('postgres', on_error_die => 0, on_error_stop => 0);
$third->query_safe("SET application_name = 'third'");
$third->query_until(qr/asked/, "\\echo asked\nSELECT oms.attach_reader('r', 60000);\n");
$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE application_name = 'third'");
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'third'");
$third->query('SELECT 1');
like($third->{stderr}, qr/canceling statement due to user request/, 'a wait can be canceled');
$third->{stderr} = '';
$standby->query_safe("SELECT oms.detach_reader('r')");
is($third->query_safe("SELECT oms.attach_reader('r')"), 't', 'a reader that was given back is free');
$third->quit;
is($standby->query_safe("SELECT oms.attach_reader('r', 1000)"), 't', 'as is that of a session that has ended');

# The doorbell while a producer is committing: its commit waits for a standby that does not exist, holding the bell.
is($standby->query_safe('SELECT oms.doorbell_arm()'), 't', 'nobody commits: the bell can be armed');
$standby->query_safe('SELECT oms.doorbell_disarm()');
$node->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
$node->reload;
$node->poll_query_until('postgres', "SHOW synchronous_standby_names", 'nobody');
my $producer = $node->background_psql('postgres', on_error_die => 1);
$producer->query_safe("SET application_name = 'producer'");
$producer->query_until(qr/asked/, "\\echo asked\nSELECT append('s', 1);\n");
ok($node->poll_query_until('postgres', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE application_name = 'producer'"), 'a producer is committing');
is($standby->query_safe('SELECT oms.doorbell_arm()'), 'f', 'then it cannot');
$node->safe_psql('postgres', "SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names");
$node->reload;
$producer->query_safe('SELECT 1');
$producer->quit;
is($standby->query_safe('SELECT oms.doorbell_arm()'), 't', 'and when the commit is through it can');
is($standby->query_safe("SELECT count(*) FROM oms.read_events('r')"), '8', 'and reading once more finds the event');
$standby->quit;

done_testing();
