# Goal: the built-in saga survives a crash at every commit point, enumerated and not sampled: whatever is killed between two commits, or in the middle
# of one, the order goes on to the one legal outcome of its story, with the money and the goods where the order says they are.
# Method: each story is a list of statements, each one commit. For every statement of every story: the postmaster is killed right behind its commit; the
# postmaster is killed while it is done and not committed; its backend is killed likewise. Then everybody repeats what they had not heard of, as a
# client with idempotency keys does, and the story is told to its end.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION oms;
SELECT oms.set_stock('s', 1000000, 'stock');
CREATE TABLE claimed (story text, n int, kind text, task_id bigint, lease_epoch bigint);
-- The worker's memory: what it has claimed is written down in the commit of the claim.
CREATE FUNCTION claim(told text, number int, lease interval DEFAULT '1 hour') RETURNS void LANGUAGE sql AS $$
    INSERT INTO claimed SELECT told, number, kind, task_id, lease_epoch FROM oms.claim_tasks('payments', 1, lease) $$;
CREATE FUNCTION complete(told text, number int, result jsonb DEFAULT '{"provider_ref": "p"}') RETURNS bigint LANGUAGE sql AS $$
    SELECT count(oms.complete_task(task_id, lease_epoch, result)) FROM claimed WHERE story = told AND n = number $$;
CREATE FUNCTION refuse(told text, number int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM oms.fail_task(task_id, lease_epoch, 'no', false) FROM claimed WHERE story = told AND n = number;
EXCEPTION WHEN SQLSTATE 'OM022' THEN
    NULL;  -- it had been heard
END $$;
SQL

my @pay = ("SELECT oms.create_order('c', 'EUR', '[{\"sku\": \"s\", \"qty\": 3, \"price_minor\": 50}]', 'STORY-create', external_ref => 'STORY')",
	"SELECT oms.pay_order((SELECT order_id FROM oms.orders WHERE external_ref = 'STORY'), 'STORY-pay')");
my $cancel = "SELECT oms.cancel_order((SELECT order_id FROM oms.orders WHERE external_ref = 'STORY'), 'enough', 'STORY-cancel')";

sub claim { return "SELECT claim('STORY', $_[0])"; }
sub complete { return "SELECT complete('STORY', $_[0])"; }
sub refuse { return "SELECT refuse('STORY', $_[0])"; }

# Name, statements, and what the order, its saga and its payment must be at the end; and nothing may be left reserved.
my @stories = (
	[ 'paid', [ @pay, claim(1), complete(1), claim(2), complete(2) ], 'confirmed||150|0|completed|captured|0' ],
	[ 'canceled', [ @pay, claim(1), complete(1), claim(2), complete(2), $cancel, claim(3), complete(3) ], 'canceled||150|150|compensated|refunded|0' ],
	[ 'stopped', [ @pay, claim(1), $cancel, complete(1), claim(2), complete(2) ], 'canceled||0|0|compensated|voided|0' ],
	[ 'declined', [ @pay, claim(1), refuse(1) ], 'canceled||0|0|compensated|declined|0' ],
	[ 'uncaptured', [ @pay, claim(1), complete(1), claim(2), refuse(2), claim(3), complete(3) ], 'canceled||0|0|compensated|voided|0' ],
	[   'unknown',
		[   @pay,
			"SELECT claim('STORY', 1, '1 second')",
			"SELECT set_config('oms.now_override', (now() + interval '1 minute')::text, false); SELECT oms.run_due()",
			"SELECT claim('STORY', 2)",
			"SELECT complete('STORY', 2, '{\"outcome\": \"succeeded\", \"provider_ref\": \"p\"}')",
			claim(3), complete(3) ],
		'confirmed||150|0|completed|captured|0' ]);

sub start_again
{
	$node->kill9;
	# The killed server's backends let go of its memory when they notice.
	for (1 .. 600)
	{
		return if $node->start(fail_ok => 1);
		$node->{_pid} = undef;  # it takes the killed server's number for that of a running one
		usleep(50_000);
	}
	BAIL_OUT('the server does not start again');
}

sub wait_for_recovery
{
	$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('the server does not recover');
}

# Runs a statement and dies in the middle: it is done, and not committed.
sub die_within
{
	my ($statement, $victim) = @_;
	my $pid = $victim eq 'postmaster' ? '$(head -1 ' . $node->data_dir . '/postmaster.pid)' : '$BACKEND';
	my $script = "SELECT pg_backend_pid() AS pid \\gset\n\\setenv BACKEND :pid\nBEGIN;\n$statement;\n\\! kill -9 $pid\nCOMMIT;\n";
	$node->psql('postgres', $script, on_error_die => 0, on_error_stop => 0);
	$victim eq 'postmaster' ? start_again() : wait_for_recovery();
}

my $number = 0;
for my $story (@stories)
{
	my ($name, $statements, $outcome) = @$story;
	for my $point (0 .. $#$statements)
	{
		for my $crash ('behind', 'postmaster', 'backend')
		{
			my $told = sprintf('%s-%d', $name, ++$number);
			my @told = map { s/STORY/$told/gr } @$statements;
			$node->safe_psql('postgres', $_) for @told[ 0 .. $point - 1 ];
			if ($crash eq 'behind')
			{
				$node->safe_psql('postgres', $told[$point]);
				start_again();
			}
			else
			{
				die_within($told[$point], $crash);
			}
			$node->safe_psql('postgres', $_) for @told[ $point .. $#told ];
			my $found = $node->safe_psql('postgres', <<SQL);
SELECT o.status, o.pending_action, o.paid_minor, o.refunded_minor, s.status, p.status,
    (SELECT coalesce(sum(qty), 0) FROM oms.reservation r WHERE r.order_id = o.order_id AND r.status = 'reserved')
FROM oms.orders o LEFT JOIN oms.saga s ON s.key = o.order_id::text LEFT JOIN oms.payment p ON p.order_id = o.order_id
WHERE o.external_ref = '$told'
SQL
			is($found, $outcome, "$name, killed at commit $point, $crash");
		}
	}
}
is($node->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', 'integrity');
is($node->safe_psql('postgres', "SELECT on_hand + 3 * (SELECT count(*) FROM oms.orders WHERE status = 'confirmed') FROM oms.stock"),
	'1000000', 'the stock lacks what was sold, and nothing else');
is($node->safe_psql('postgres', "SELECT count(*) FROM oms.saga WHERE finished_at IS NULL"), '0', 'every saga has ended');
$node->stop;
done_testing();
