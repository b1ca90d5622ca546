# Goal: the built-in saga survives a crash at every commit point, enumerated and not sampled: whoever is killed in the middle of a commit or right
# behind it, the order goes on to the one legal outcome of its story, with the money and the goods where the order says they are.
# Method: each story is a list of statements, each one commit of one of the three that move a saga: the shop, a participant (a task worker) and the
# clock (whoever calls oms.run_due, as oms-worker does), in a process of its own each. At every statement, with the common beginnings of stories counted
# once, everybody is killed with signal 9 in turn:
#   backend      the statement is done and not committed, and its backend dies
#   postmaster   the same, and the postmaster dies
#   behind       it is committed, nobody has heard of it, and the postmaster dies
#   caller       it is done and not committed, and the process that sent it dies
#   unheard      it is committed, and the process that sent it dies before it hears
# Behind a crash of the server everybody repeats what they had not heard of, as a client with idempotency keys does. A participant or a clock that died
# itself has a successor that knows nothing: the lease has ended with the session that had it, and the work is claimed anew.
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my @victims = qw(backend postmaster behind caller unheard);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nrestart_after_crash = on\nclient_min_messages = error\n");
$node->start;
my $data = abs_path($node->data_dir);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION oms;
SELECT oms.set_stock('s', 1000000, 'stock');
-- A participant's memory: what it has claimed is written down in the commit of the claim.
CREATE TABLE claimed (story text, n int, kind text, task_id bigint, lease_epoch bigint, PRIMARY KEY (story, n));
CREATE FUNCTION claim(told text, number int, queue text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO claimed SELECT told, number, kind, task_id, lease_epoch FROM oms.claim_tasks(queue, 1, '1 hour', while_connected => true)
    ON CONFLICT (story, n) DO UPDATE SET kind = excluded.kind, task_id = excluded.task_id, lease_epoch = excluded.lease_epoch $$;
CREATE FUNCTION claim_briefly(told text, number int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO claimed SELECT told, number, kind, task_id, lease_epoch FROM oms.claim_tasks('payments', 1, '1 second') ON CONFLICT DO NOTHING $$;
CREATE FUNCTION complete(told text, number int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(oms.complete_task(task_id, lease_epoch, '{"outcome": "succeeded", "provider_ref": "p"}')) FROM claimed WHERE story = told AND n = number $$;
CREATE FUNCTION refuse(told text, number int, retryable boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM oms.fail_task(task_id, lease_epoch, 'no', retryable) FROM claimed WHERE story = told AND n = number;
EXCEPTION WHEN SQLSTATE 'OM022' THEN
    NULL;  -- it had been heard
END $$;
-- A clock that is ahead of the others', for this statement.
CREATE FUNCTION be_later(ahead interval) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('oms.now_override', (now() + ahead)::text, true);
    RETURN oms.run_due();
END $$;
-- A provider that refuses every refund, until nobody tries any more.
CREATE FUNCTION refuse_until_parked() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM oms.saga WHERE status = 'compensating') LOOP
        PERFORM oms.fail_task(task_id, lease_epoch, 'account closed', false) FROM oms.claim_tasks('payments');
        PERFORM set_config('oms.now_override', greatest(oms.next_due(), oms.clock_time())::text, true);
        PERFORM oms.run_due();
    END LOOP;
END $$;
SQL

# --- the stories ------------------------------------------------------------------------------------------------------

my $order = "(SELECT order_id FROM oms.orders WHERE external_ref = 'STORY')";
my $saga = "(SELECT saga_id FROM oms.saga WHERE key = $order\:\:text)";

sub shop { my ($label, $sql) = @_; return { who => 'shop', label => $label, sql => $sql }; }
sub clock { my ($ahead) = @_; return { who => 'clock', label => "run_due, $ahead later", sql => "SELECT be_later('$ahead')" }; }

sub created
{
	my ($sku) = @_;
	return shop('create', "SELECT oms.create_order('c', 'EUR', '[{\"sku\": \"$sku\", \"qty\": 3, \"price_minor\": 50}]', 'STORY-create', external_ref => 'STORY')");
}

sub paid
{
	my ($policy) = @_;
	return shop('pay ' . ($policy // ''), "SELECT oms.pay_order($order, 'STORY-pay', policy => " . ($policy ? "'$policy'" : 'NULL') . ')');
}

# A participant claims the next task and answers it.
sub claimed
{
	my ($n, $kind, $queue) = @_;
	$queue //= 'payments';
	return { who => 'participant', label => "claim $kind", sql => "SELECT claim('STORY', $n, '$queue')", claims => $n };
}
sub accepted { my ($n, $kind) = @_; return { who => 'participant', label => "complete $kind", sql => "SELECT complete('STORY', $n)", answers => $n }; }
sub refused { my ($n, $kind) = @_; return { who => 'participant', label => "refuse $kind", sql => "SELECT refuse('STORY', $n)", answers => $n }; }
sub work { my @task = @_; return (claimed(@task), accepted(@task)); }

my @begun = (created('s'), paid());
my @simple = (@begun, work(1, 'authorize'), work(2, 'capture'));
my $cancel = shop('cancel', "SELECT oms.cancel_order($order, 'enough', 'STORY-cancel')");
my @shipping = (created('s'), paid('{"shipping": true}'), work(1, 'authorize'), work(2, 'capture'), claimed(3, 'shipment', 'shipping'));

# What the order, its saga and its payment must be at the end; and nothing may be left reserved.
my @stories = (
	[ 'paid', 'confirmed||150|0|completed|captured|0', @simple ],
	[ 'canceled', 'canceled||150|150|compensated|refunded|0', @simple, $cancel, work(3, 'refund') ],
	[ 'refunded', 'confirmed||150|50|completed|partially_refunded|0',
		@simple, shop('refund 50', "SELECT oms.refund_order($order, 50, 'dented', 'STORY-refund')"), work(3, 'refund') ],
	[ 'stopped', 'canceled||0|0|compensated|voided|0', @begun, claimed(1, 'authorize'), $cancel, accepted(1, 'authorize'), work(2, 'void') ],
	[ 'unwanted', 'canceled||0|0|compensated|voided|0', @begun, $cancel, work(1, 'authorize'), work(2, 'void') ],
	[ 'declined', 'canceled||0|0|compensated|declined|0', @begun, claimed(1, 'authorize'), refused(1, 'authorize') ],
	[ 'uncaptured', 'canceled||0|0|compensated|voided|0',
		@begun, work(1, 'authorize'), claimed(2, 'capture'), refused(2, 'capture'), work(3, 'void') ],
	[ 'again', 'confirmed||150|0|completed|captured|0', @begun, claimed(1, 'authorize'),
		{ who => 'participant', label => 'fail authorize, may pass', sql => "SELECT refuse('STORY', 1, true)", answers => 1 },
		clock('10 seconds'), work(2, 'authorize'), work(3, 'capture') ],
	[ 'unknown', 'confirmed||150|0|completed|captured|0', @begun,
		{ who => 'participant', label => 'claim authorize, and hang', sql => "SELECT claim_briefly('STORY', 1)", hangs => 1 },
		clock('1 minute'), work(2, 'reconcile'), work(3, 'capture') ],
	[ 'held', 'confirmed||150|0|completed|captured|0', @begun, work(1, 'authorize'), claimed(2, 'capture'),
		shop('hold', "SELECT oms.hold_order($order, 'wait', 'STORY-hold')"), accepted(2, 'capture'), clock('1 second'),
		shop('release', "SELECT oms.release_hold($order, 'STORY-release')"), clock('1 hour') ],
	[ 'queued', 'shipped||150|0|completed|captured|0', @begun,
		shop('queue ship', "SELECT oms.queue_command($order, 'ship_order', '{}', 'STORY-ship')"), work(1, 'authorize'), work(2, 'capture'),
		clock('1 second') ],
	[ 'sold out', 'canceled||0|0|compensated|-|0', created('none'), paid() ],
	[ 'everything', 'confirmed||150|0|completed|captured|0', created('s'),
		paid('{"checks": ["credit", "fraud", "shipping_cost"], "verify_above_minor": 100, "capture_delay_ms": 1000, "shipping": true}'),
		work(1, 'check', 'checks'), work(2, 'second check', 'checks'), work(3, 'third check', 'checks'), work(4, 'verify', 'checks'),
		work(5, 'authorize'), clock('5 seconds'), work(6, 'capture'), work(7, 'shipment', 'shipping') ],
	[ 'suspect', 'canceled||0|0|compensated|-|0', created('s'), paid('{"checks": ["fraud"]}'),
		claimed(1, 'check', 'checks'), refused(1, 'check') ],
	[ 'unshipped', 'canceled||150|150|compensated|refunded|0', @shipping, refused(3, 'shipment'),
		# Asked for only where the claim was lost: whoever had it may have sent the goods.
		work(5, 'stop, if asked to', 'shipping'), work(4, 'refund') ],
	[ 'called back', 'canceled||150|150|compensated|refunded|0', @shipping, accepted(3, 'shipment'), $cancel,
		work(4, 'shipment.cancel', 'shipping'), work(5, 'refund') ],
	[ 'authorized', 'confirmed||150|0|completed|authorized|0', created('s'), paid('{"auth_only": true}'), work(1, 'authorize') ],
	[ 'parked', 'canceled||150|150|compensated|refunded|0', @simple, $cancel,
		{ who => 'clock', label => 'refunds refused until it is parked', sql => 'SELECT refuse_until_parked()' },
		shop('resume', "SELECT oms.resume_saga($saga, 'open again', 'STORY-resume')"), work(3, 'refund') ]);

# --- sessions ---------------------------------------------------------------------------------------------------------

my %session;

sub session
{
	my ($who) = @_;
	if (!$session{$who})
	{
		my $psql = $node->background_psql('postgres');
		$session{$who} = { psql => $psql, process => $psql->{run}{KIDS}[0]{PID}, backend => $psql->query_safe('SELECT pg_backend_pid()') };
	}
	return $session{$who};
}

sub run { my ($who, $sql) = @_; return session($who)->{psql}->query_safe($sql); }

sub kill_session
{
	my ($who) = @_;
	my $gone = delete $session{$who};
	kill 'KILL', $gone->{process};
	eval { $gone->{psql}{run}->finish };
	return $gone->{backend};
}

# Waits until the server has noticed that the process is gone.
sub kill_caller
{
	my ($who) = @_;
	my $backend = kill_session($who);
	for (1 .. 60_000)
	{
		return if run('witness', "SELECT count(*) FROM pg_stat_activity WHERE pid = $backend") eq '0';
		usleep(5_000);
	}
	BAIL_OUT('the backend of a killed client lives on');
}

# The processes of the server, dead ones that nobody has reaped left out.
sub processes
{
	return grep { (readlink("/proc/$_/cwd") // '') eq $data } map { m{^/proc/(\d+)$} } glob('/proc/[0-9]*');
}

sub kill_postmaster
{
	$node->kill9;
	kill_session($_) for keys %session;
	# The killed server's backends go when they notice. Only then its lock files are taken away: PostgreSQL takes the number of a dead postmaster that
	# nobody has reaped for that of a running one.
	for (1 .. 60_000)
	{
		last if !processes();
		usleep(5_000);
	}
	unlink "$data/postmaster.pid", $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	$node->start;
	return;
}

sub kill_backend
{
	my ($who) = @_;
	kill 'KILL', session($who)->{backend};
	# A server that restarts ends all sessions: until the witness has lost its own, the crash is not noticed.
	for (1 .. 60_000)
	{
		last if !eval { run('witness', 'SELECT 1'); 1 };
		usleep(5_000);
	}
	kill_session($_) for keys %session;
	# A psql that is turned away may be gone before its question is written, and the write then fails (EPIPE): ask again.
	my $answered;
	for (1 .. 100) { last if $answered = eval { $node->poll_query_until('postgres', 'SELECT true') }; }
	$answered or BAIL_OUT('the server does not recover');
	return;
}

# --- the enumeration --------------------------------------------------------------------------------------------------

# Tells the story up to a statement, kills, and answers where to go on.
sub crash
{
	my ($told, $victim, @steps) = @_;
	my $here = $#steps;
	my $step = $steps[$here];
	run('witness', 'SELECT 1');
	run($_->{who}, "BEGIN; $_->{sql}; COMMIT") for @steps[ 0 .. $here - 1 ];
	my $committed = $victim eq 'behind' || $victim eq 'unheard';
	run($step->{who}, "BEGIN; $step->{sql}" . ($committed ? '; COMMIT' : ''));
	if ($victim eq 'backend') { kill_backend($step->{who}); }
	elsif ($victim eq 'postmaster' || $victim eq 'behind') { kill_postmaster(); }
	else { kill_caller($step->{who}); }
	return $here if $victim ne 'caller' && $victim ne 'unheard' || $step->{who} ne 'participant' || $step->{hangs};

	run('witness', "DELETE FROM claimed WHERE story = '$told'");
	if ($step->{answers})
	{
		return $here + 1 if $committed;
		for my $i (0 .. $here) { return $i if ($steps[$i]{claims} // 0) == $step->{answers}; }
	}
	return $here;
}

my ($number, $points, %met, %total, @matrix) = (0, 0);
for my $story (@stories)
{
	my ($name, $outcome, @steps) = @$story;
	my $beginning = '';
	for my $point (0 .. $#steps)
	{
		$beginning .= "$steps[$point]{sql}\n";
		next if $met{$beginning}++;
		$points++;
		my %ended;
		for my $victim (@victims)
		{
			my $told = sprintf('%s-%d', $name, ++$number);
			my @told = map { { %$_, sql => $_->{sql} =~ s/STORY/$told/gr } } @steps;
			my $from = crash($told, $victim, @told[ 0 .. $point ]);
			run($_->{who}, "BEGIN; $_->{sql}; COMMIT") for @told[ $from .. $#told ];
			my $found = run('witness', <<SQL);
SELECT concat_ws('|', o.status, coalesce(o.pending_action, ''), o.paid_minor, o.refunded_minor, s.status, coalesce(p.status, '-'),
    (SELECT coalesce(sum(qty), 0) FROM oms.reservation r WHERE r.order_id = o.order_id AND r.status = 'reserved'))
FROM oms.orders o LEFT JOIN oms.saga s ON s.key = o.order_id::text LEFT JOIN oms.payment p ON p.order_id = o.order_id
WHERE o.external_ref = '$told'
SQL
			# What is left of an order that went wrong would be in the way of the next.
			is($found, $outcome, "$name, $steps[$point]{label}: $victim") or BAIL_OUT('the rest is not told');
			$ended{$victim} = $found eq $outcome;
			$total{$victim} += $ended{$victim};
		}
		push @matrix, sprintf('%-11s  %-11s  %-34.34s  %s  %s', $name, $steps[$point]{who}, $steps[$point]{label},
			join('  ', map { sprintf("%-*s", length, $ended{$_} ? 'ok' : 'WRONG') } @victims),
			$outcome =~ s/^([^|]*)\|\|(\d+)\|(\d+)\|([^|]*)\|([^|]*)\|.*/$1, saga $4, payment $5, paid $2, given back $3/r);
	}
}
diag(join("\n", '', "commit point x victim -> the one legal outcome",
	sprintf('%-11s  %-11s  %-34s  %s  %s', 'story', 'committed by', 'what', join('  ', @victims), 'outcome'), @matrix,
	sprintf('%d commit points, %d kills: %s', $points, $number, join(', ', map { "$_ $total{$_}/$points" } @victims))));

is(run('witness', 'SELECT * FROM oms.check_integrity()'), '', 'integrity');
is(run('witness', "SELECT on_hand + 3 * (SELECT count(*) FROM oms.orders WHERE status IN ('confirmed', 'shipped')) FROM oms.stock"),
	'1000000', 'the stock lacks what was sold, and nothing else');
is(run('witness', "SELECT count(*) FROM oms.saga WHERE finished_at IS NULL"), '0', 'every saga has ended');
is(run('witness', "SELECT count(*) FROM oms.queued_command WHERE status <> 'done'"), '0', 'no command waits, none was refused');
is(run('witness', <<'SQL'), 'called back 1 canceled, everything 1 created, unshipped 1 failed', 'each order has one shipment, which is what became of its task');
SELECT string_agg(DISTINCT found, ', ' ORDER BY found) FROM (
    SELECT format('%s %s %s', regexp_replace(o.external_ref, '-[0-9]+$', ''), count(*), min(s.status)) AS found
    FROM oms.shipment s JOIN oms.orders o USING (order_id) GROUP BY o.order_id, o.external_ref) f
SQL
is(run('witness', "SELECT count(*) FROM oms.task WHERE status IN ('ready', 'leased')"), '0', 'no task is left');
is(run('witness', 'SELECT sum(amount_minor) FROM oms.ledger_entry'), '0', 'the ledger adds up');
kill_session($_) for keys %session;
$node->stop;
done_testing();
