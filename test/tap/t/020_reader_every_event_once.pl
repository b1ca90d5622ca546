# Goal: each committed event is read exactly once and each stream in order, whatever the writers do; a reader that remembers the highest id loses
# events under the same load.
# Method: transactions of very different length, rollbacks, savepoints and prepared transactions write while three readers read: one attached that
# reads ahead, one local consumer that rolls back every third transaction, and the naive one.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Readers;
use Test::More;

my $node = new_cluster('once', conf => "synchronous_commit = off\n");
$node->safe_psql('postgres', <<'SQL');
SELECT oms.create_reader('ahead', '{t}'), oms.create_reader('local', '{t}');
CREATE TABLE ahead (place bigserial PRIMARY KEY, id bigint UNIQUE, stream text, seq bigint);
CREATE TABLE local (place bigserial PRIMARY KEY, id bigint UNIQUE, stream text, seq bigint);
CREATE TABLE naive (id bigint PRIMARY KEY);
CREATE TABLE writers_done (at timestamptz);

-- Reads ahead of what it confirms, in transactions that write: the inserted rows.
CREATE PROCEDURE read_ahead() LANGUAGE plpgsql AS $$
DECLARE
    found_now integer;
    last_id bigint;
    rounds integer := 0;
    is_over boolean;
BEGIN
    PERFORM oms.attach_reader('ahead');
    LOOP
        is_over := EXISTS (SELECT FROM writers_done);
        WITH page AS (INSERT INTO ahead (id, stream, seq) SELECT id, aggregate_id, seq FROM oms.read_events('ahead', 100) RETURNING id)
        SELECT count(*), max(id) FILTER (WHERE true) INTO found_now, last_id FROM page;
        COMMIT;
        rounds := rounds + 1;
        IF rounds % 7 = 0 THEN
            PERFORM oms.commit_reader('ahead');
            COMMIT;
        END IF;
        EXIT WHEN is_over AND found_now = 0;
        PERFORM pg_sleep(0.001);
    END LOOP;
    PERFORM oms.commit_reader('ahead');
END $$;

CREATE PROCEDURE consume() LANGUAGE plpgsql AS $$
DECLARE
    found_now integer;
    rounds integer := 0;
    is_over boolean;
BEGIN
    LOOP
        is_over := EXISTS (SELECT FROM writers_done);
        INSERT INTO local (id, stream, seq) SELECT id, aggregate_id, seq FROM oms.read_events('local', 50);
        GET DIAGNOSTICS found_now = ROW_COUNT;
        PERFORM oms.commit_reader('local');
        rounds := rounds + 1;
        IF rounds % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
        EXIT WHEN is_over AND found_now = 0;
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$;

CREATE PROCEDURE read_naively() LANGUAGE plpgsql AS $$
DECLARE
    is_over boolean;
BEGIN
    LOOP
        is_over := EXISTS (SELECT FROM writers_done);
        INSERT INTO naive SELECT id FROM oms.event WHERE topic = 't' AND id > coalesce((SELECT max(id) FROM naive), 0) ORDER BY id LIMIT 500;
        EXIT WHEN is_over AND NOT FOUND;
        COMMIT;
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$;
SQL

my $dir = PostgreSQL::Test::Utils::tempdir();
my %script = (
	quick => "\\set s random(1, 20)\nSELECT append('shared-' || :s, 2);\n",
	slow => "\\set ms random(1, 100)\nBEGIN;\nSELECT append('slow-' || :client_id);\n\\sleep :ms ms\nSELECT append('slow-' || :client_id);\nCOMMIT;\n",
	lost => "\\set s random(1, 20)\nBEGIN;\nSELECT append('shared-' || :s, 3);\nROLLBACK;\n",
	parts => "BEGIN;\nSELECT append('parts-' || :client_id);\nSAVEPOINT a;\nSELECT append('parts-' || :client_id);\nROLLBACK TO a;\n"
	  . "SAVEPOINT b;\nSELECT append('parts-' || :client_id);\nRELEASE b;\nCOMMIT;\n",
	prepared => "\\set ms random(1, 20)\nBEGIN;\nSELECT append('prepared-' || :client_id);\nPREPARE TRANSACTION 'p:client_id';\n\\sleep :ms ms\nCOMMIT PREPARED 'p:client_id';\n",
);
my %weight = (quick => 10, slow => 4, lost => 4, parts => 3, prepared => 1);
my @pgbench = ('pgbench', '-n', '-c', '6', '-t', '800', '-d', $node->connstr('postgres'));
for my $name (sort keys %script)
{
	PostgreSQL::Test::Utils::append_to_file("$dir/$name.sql", $script{$name});
	push @pgbench, '-f', "$dir/$name.sql\@$weight{$name}";
}

my @readers;
for my $call ('read_ahead', 'consume', 'read_naively')
{
	my %reader = (call => $call, out => '', err => '');
	$reader{run} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', "CALL $call()" ],
		'>', \$reader{out}, '2>', \$reader{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	push @readers, \%reader;
}
my ($out, $err) = ('', '');
ok(IPC::Run::run(\@pgbench, '>', \$out, '2>', \$err), 'the writers finish') or diag($err);
$node->safe_psql('postgres', 'INSERT INTO writers_done VALUES (now())');
for my $reader (@readers)
{
	ok(IPC::Run::finish($reader->{run}), "$reader->{call} finishes") or diag($reader->{err});
}

my $events = $node->safe_psql('postgres', "SELECT count(*) FROM oms.event WHERE topic = 't'");
cmp_ok($events, '>=', 6000, "there were many events: $events");
for my $table ('ahead', 'local')
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM oms.event e WHERE topic = 't' AND NOT EXISTS (SELECT FROM $table t WHERE t.id = e.id)"),
		'0', "$table: none was missed");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $table"), $events, "$table: each was read once");
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT seq - lag(seq) OVER (PARTITION BY stream ORDER BY place) AS step FROM $table) s WHERE step <> 1"),
		'0', "$table: each stream was read in order, without a gap");
}
my $naive = $node->safe_psql('postgres', 'SELECT count(*) FROM naive');
cmp_ok($naive, '<', $events, "the naive reader lost " . ($events - $naive));
is($node->safe_psql('postgres', 'SELECT count(*), max(passed_id) FROM oms.reader_position WHERE reader = \'ahead\''),
	'1|' . $node->safe_psql('postgres', 'SELECT last_value FROM oms.event_id_seq'), 'one row holds the position, at the end of the log');
is($node->safe_psql('postgres', 'SELECT * FROM oms.check_integrity()'), '', 'integrity');

done_testing();
