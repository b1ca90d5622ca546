# What the tests of readers have in common: a cluster with the extension, and a function that appends events.
package Readers;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(new_cluster prepare_database);

# Starts a cluster with these lines in postgresql.conf. Buffers enough that none is written to make room: that would flush the log of writes.
sub new_cluster
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => $options{streaming} // 0);
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

1;
