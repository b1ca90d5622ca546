# What the tests of readers have in common: a cluster with the extension, a function that appends events, and a consumer whose table got is compared
# with the log.
package Readers;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(new_cluster prepare_database consume has_read_everything);

# Starts a cluster with these lines in postgresql.conf. Buffers enough that none is written to make room: that would flush the log of writes.
sub new_cluster
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => $options{streaming} // 0, has_archiving => $options{archiving} // 0);
	$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nautovacuum = off\nshared_buffers = 64MB\n" . ($options{conf} // ''));
	$node->start;
	prepare_database($node, 'postgres') unless $options{bare};
	return $node;
}

sub prepare_database
{
	my ($node, $database) = @_;
	$node->safe_psql($database, <<'SQL');
CREATE EXTENSION oms;
CREATE FUNCTION append(stream text, count integer DEFAULT 1, topic text DEFAULT 't') RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT last_id FROM oms.append_events('test', stream, NULL,
        (SELECT jsonb_agg(jsonb_build_object('type', 'noted', 'topic', topic, 'payload', jsonb_build_object('n', n))) FROM generate_series(1, count) n))
$$;
SQL
	return;
}

# A consumer in the database: what it got and where the reader stands are one transaction.
sub consume
{
	my ($node, $database, $reader, $count) = @_;
	return $node->safe_psql($database, "BEGIN; INSERT INTO got SELECT '$reader', id FROM oms.read_events('$reader', $count); SELECT oms.commit_reader('$reader'); COMMIT;");
}

# Lets these readers read to the end, and compares what they got in all with the log.
sub has_read_everything
{
	my ($node, $database, $what, @readers) = @_;
	for my $reader (@readers)
	{
		for (1 .. 50)
		{
			consume($node, $database, $reader, 40);
			last if $node->safe_psql($database, "SELECT count(*) FROM oms.read_events('$reader', 1)") eq '0';
		}
		is($node->safe_psql($database, "SELECT count(*) FROM got g WHERE reader = '$reader' HAVING count(*) > count(DISTINCT id)"), '', "$what, $reader: nothing twice");
		is($node->safe_psql($database, "SELECT count(*) FROM oms.event e WHERE topic = 't' AND NOT EXISTS (SELECT FROM got g WHERE g.reader = '$reader' AND g.id = e.id)"),
			'0', "$what, $reader: nothing missed");
		is($node->safe_psql($database, "SELECT count(*) FROM got g WHERE reader = '$reader' AND NOT EXISTS (SELECT FROM oms.event e WHERE e.id = g.id)"),
			'0', "$what, $reader: nothing that is not in the log");
	}
	is($node->safe_psql($database, 'SELECT * FROM oms.check_integrity()'), '', "$what: integrity");
	return;
}

1;
