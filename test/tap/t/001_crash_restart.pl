# Goal: kill -9 of the server in the middle of concurrent commands loses nothing that was acknowledged, leaves nothing half done, and the same call after the
# restart gives the first answer.
# Method: four sessions send commands and write down each answer; the postmaster is killed when enough answers are there; after recovery answers, tables and
# invariants are compared. Three rounds on one cluster.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = off\nsynchronous_commit = on\nfsync = on");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION oms');

my $items = q('[{"sku": "a", "qty": 2, "price_minor": 500}, {"sku": "b", "qty": 1, "price_minor": 50}]');
my $answers_wanted = 300;

sub commands
{
	my ($round, $session) = @_;
	my $script = "\\set QUIET on\n\\pset tuples_only on\n\\pset format unaligned\n";
	for my $i (1 .. 3000)
	{
		my $key = "r$round-s$session-$i";
		$script .= "SELECT order_id AS id FROM oms.create_order('c$session', 'EUR', $items, '$key') \\gset\n";
		$script .= "\\echo created $key :id\n";
		$script .= "SELECT status AS status FROM oms.advance_order(:'id', 'reserve', '$key-reserve') \\gset\n";
		$script .= "\\echo reserved $key :id\n";
	}
	return $script;
}

sub lines_of { my ($file) = @_; return -e $file ? scalar(() = slurp_file($file) =~ /\n/g) : 0; }

my (%created, %reserved);
for my $round (1 .. 3)
{
	my (@runs, @files);
	for my $session (1 .. 4)
	{
		my $file = "$PostgreSQL::Test::Utils::tmp_check/answers-$round-$session";
		append_to_file("$file.sql", commands($round, $session));
		push @files, $file;
		push @runs, IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-f', "$file.sql" ], '>', $file, '2>', '/dev/null');
	}
	# Waits for answers; the bound is for a server that gives none.
	my $answers = 0;
	for (1 .. 6000)
	{
		$answers = 0;
		$answers += lines_of($_) for @files;
		last if $answers >= $answers_wanted;
		select(undef, undef, undef, 0.01);
	}
	$node->kill9;
	$_->finish for @runs;
	my $acknowledged = 0;
	for my $file (@files)
	{
		for my $line (split /\n/, slurp_file($file))
		{
			next unless $line =~ /^(created|reserved) (\S+) ([0-9a-f-]{36})$/;
			$acknowledged++;
			($1 eq 'created' ? \%created : \%reserved)->{$2} = $3;
		}
	}
	note "round $round: killed after $acknowledged acknowledged commands";
	cmp_ok($acknowledged, '>=', $answers_wanted, "round $round: commands were acknowledged before the kill");
	# The children of a killed postmaster notice and go; only then can the next one have the shared memory.
	my $started = 0;
	for (1 .. 600)
	{
		$node->{_pid} = undef;
		last if $started = $node->start(fail_ok => 1);
		select(undef, undef, undef, 0.1);
	}
	ok($started, "round $round: the server recovers");

	my %in_table = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT order_id, status FROM oms.orders');
	my @lost = grep { !defined $in_table{ $created{$_} } } keys %created;
	is(scalar @lost, 0, "round $round: no acknowledged order is lost");
	my @undone = grep { ($in_table{ $reserved{$_} } // '') ne 'reserved' } keys %reserved;
	is(scalar @undone, 0, "round $round: no acknowledged transition is undone");
	is($node->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', "round $round: the invariants hold");
	is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM oms.idempotency_key) = (SELECT count(*) FROM oms.event)'), 't',
		"round $round: as many keys as events: no command is half done");
	my ($key) = sort keys %created;
	is($node->safe_psql('postgres', "SELECT order_id, replayed FROM oms.create_order('c" . ($key =~ /-s(\d)-/)[0] . "', 'EUR', $items, '$key')"),
		"$created{$key}|t", "round $round: the same call again gives the first answer");
}
note 'in all: ' . keys(%created) . ' orders and ' . keys(%reserved) . ' transitions acknowledged over 3 kills';
$node->stop;
done_testing();
