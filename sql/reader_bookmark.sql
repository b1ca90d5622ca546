-- Goal: a place that was written down outside of the database is gone back to only by the reader and the history that it belongs to, and then
-- each event is handed out once, whatever was stored meanwhile; what was rejected ahead of the stored position is known.
-- Method: one reader reads in pages and writes bookmarks down, loses its session, and resumes at each; then bookmarks are changed word by word.
-- A promotion that lost transactions is in test/tap.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
CREATE FUNCTION test.word(bookmark text, number int, word text) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(CASE WHEN i = number THEN coalesce(word, w) ELSE w END, ' ' ORDER BY i) FROM regexp_split_to_table(bookmark, ' ') WITH ORDINALITY s (w, i) $$;
CREATE FUNCTION test.resume(bookmark text, reader text DEFAULT 'marked') RETURNS text LANGUAGE sql AS
    $$ SELECT outcome || CASE WHEN outcome = 'refused' THEN ': ' || regexp_replace(reason, '\m[0-9A-F]+/[0-9A-F]+\M|\m[0-9]{2,}\M', 'N', 'g') ELSE '' END FROM oms.resume_reader(reader, bookmark) $$;

SELECT oms.create_reader('marked', '{marked}');
SELECT test.last_id() AS start \gset
SELECT test.append('m1', 10, 'marked') AS last \gset

-- What it says for everybody to see.
SELECT test.equal(system_identifier, (SELECT c.system_identifier FROM pg_control_system() c), 'the cluster') FROM oms.reader_bookmark('marked');
SELECT test.equal(database::text, (SELECT oid::text FROM pg_database WHERE datname = current_database()), 'the database') FROM oms.reader_bookmark('marked');
SELECT test.ok(wal <= pg_current_wal_flush_lsn(), 'everything it depends on is on disk') FROM oms.reader_bookmark('marked');
SELECT bookmark AS at_start FROM oms.reader_bookmark('marked') \gset

-- Read ahead, written down in the middle of a page, at its end, and behind everything.
SELECT oms.attach_reader('marked');
SELECT test.equal(test.read('marked', 4), (SELECT array_agg(i) FROM generate_series(:start + 1, :start + 4) i), 'four events');
SELECT test.equal(test.read('marked', 4), (SELECT array_agg(i) FROM generate_series(:start + 5, :start + 8) i), 'four more');
SELECT bookmark AS behind_2 FROM oms.reader_bookmark('marked', :start + 2) \gset
SELECT bookmark AS behind_4 FROM oms.reader_bookmark('marked', :start + 4) \gset
SELECT bookmark AS behind_8 FROM oms.reader_bookmark('marked') \gset
SELECT test.fails(format('SELECT oms.reader_bookmark(%L, %s)', 'marked', :start + 9), 'OM032', 'a bookmark behind what was not read');
SELECT test.fails(format('SELECT oms.resume_reader(%L, %L)', 'marked', :'behind_4'), 'OM032', 'resuming with events on their way');
SELECT oms.commit_reader('marked', :start + 1);
SELECT bookmark AS behind_6 FROM oms.reader_bookmark('marked', :start + 6) \gset
SELECT oms.detach_reader('marked');
\c -
SELECT oms.attach_reader('marked');
SELECT test.equal(test.resume(:'at_start'), 'passed', 'the stored position is further on');
SELECT test.equal(test.resume(:'behind_2'), 'resumed', 'on to a place inside a page');
SELECT test.equal(test.resume(:'behind_2'), 'passed', 'and once more');
SELECT test.equal(test.resume(:'behind_6'), 'resumed', 'on to a place inside the next');
SELECT test.equal(test.resume(:'behind_4'), 'passed', 'there is no way back');
SELECT test.equal(test.read('marked'), (SELECT array_agg(i) FROM generate_series(:start + 7, :start + 10) i), 'it goes on behind it, without a gap');
SELECT oms.detach_reader('marked');
\c -

-- Resuming is part of its transaction, and moves the stored position.
BEGIN;
SELECT test.equal(test.resume(:'behind_8'), 'resumed', 'in a transaction');
SELECT test.equal(test.read('marked'), ARRAY[:start + 9, :start + 10]::bigint[], 'the rest');
ROLLBACK;
SELECT test.equal(test.read('marked', 1), ARRAY[:start + 7]::bigint[], 'as if it had not been');
SELECT test.equal(test.resume(:'behind_8'), 'resumed', 'without a transaction of its own');
SELECT test.equal(test.read('marked'), ARRAY[:start + 9, :start + 10]::bigint[], 'the stored position has moved');

-- Late commits around a bookmark: nothing is passed over.
SELECT oms.attach_reader('marked');
SELECT test.append('m2', 3, 'marked') AS last \gset
SELECT test.equal(count(*), 5, 'five to read') FROM oms.read_events('marked');
SELECT bookmark AS all_read FROM oms.reader_bookmark('marked') \gset
SELECT oms.detach_reader('marked');
\c -
SELECT test.append('m3', 2, 'marked') AS last \gset
SELECT test.equal(test.resume(:'all_read'), 'resumed', 'behind everything');
SELECT test.equal(test.read('marked'), ARRAY[:last - 1, :last]::bigint[], 'what came after it');

-- What is not this reader's place in this history is refused, with the reason, and changes nothing.
SELECT bookmark AS mark FROM oms.reader_bookmark('marked') \gset
SELECT oms.create_reader('unmarked', '{marked}');
SELECT test.resume(:'mark', 'unmarked');
SELECT test.resume(test.word(:'mark', 3, '42'));
SELECT test.resume(test.word(:'mark', 4, '1'));
SELECT test.resume(test.word(:'mark', 5, '0'));
SELECT test.resume(test.word(:'mark', 6, '9'));
SELECT test.resume(test.word(:'mark', 7, '18446744073709551615'));
SELECT test.resume(test.word(:'mark', 8, '999999'));
SELECT test.resume(test.word(:'mark', 9, '999'));
SELECT test.resume(test.word(test.word(:'mark', 10, '900000000000'), 11, '900000000000'));
SELECT test.equal(test.read('marked'), ARRAY[:last - 1, :last]::bigint[], 'the stored position counts');
SELECT oms.drop_reader('marked');
SELECT oms.create_reader('marked', '{marked}', 'beginning');
SELECT test.resume(:'mark');
SELECT test.equal(count(*), 15, 'a reader that was created anew reads what its creation says') FROM oms.read_events('marked');

-- What was never written by us.
SELECT test.fails(format('SELECT oms.resume_reader(%L, %L)', 'marked', junk), 'OM001', format('no bookmark: %s', what))
FROM (VALUES ('', 'nothing'), ('oms1', 'a beginning'), ('oms2' || substr(:'mark', 5), 'another version'), (:'mark' || ' ', 'a blank behind it'),
    (:'mark' || ' 1', 'a word too many'), (' ' || :'mark', 'a blank before it'), (test.word(:'mark', 10, '-1'), 'a negative count'),
    (test.word(:'mark', 10, '0'), 'a count of none'), (test.word(:'mark', 14, '1'), 'a count too small'), (test.word(:'mark', 14, '4000000000'), 'a count too large'),
    (test.word(:'mark', 11, '99999999999999999999'), 'a number beyond all numbers'), (repeat('1 ', 100000), '100,000 words'),
    (replace(:'mark', ' ', '  '), 'two blanks')) j (junk, what);
SELECT test.fails($$SELECT oms.resume_reader('marked', NULL)$$, 'OM001', 'no bookmark');
SELECT test.fails($$SELECT oms.resume_reader('nobody', 'oms1')$$, 'OM002', 'a reader that does not exist');
SELECT test.fails($$SELECT oms.reader_bookmark('nobody')$$, 'OM002', 'a bookmark of a reader that does not exist');
-- Cut anywhere, it is none; none of them ends the session.
SELECT test.equal(count(*) FILTER (WHERE (test.outcome(format('SELECT oms.resume_reader(%L, %L)', 'marked', left(:'mark', n)))).state = 'OM001'), count(*), 'a part of one')
FROM generate_series(1, length(:'mark') - length((regexp_match(:'mark', '[0-9]+$'))[1])) n;

-- What was decided ahead of the stored position.
SELECT oms.attach_reader('marked');
SELECT test.nothing($$SELECT * FROM oms.dead_letters_ahead('marked')$$, 'nothing was rejected');
SELECT count(*) FROM oms.read_events('marked');
SELECT oms.reject_event('marked', :start + 3, 'too large', 1) IS NOT NULL;
SELECT oms.reject_event('marked', :start + 5, 'too large', 1) IS NOT NULL;
SELECT event_id - :start AS event, topic, key, error, parked FROM oms.dead_letters_ahead('marked');
SELECT oms.commit_reader('marked', :start + 4);
SELECT event_id - :start AS event, topic, key, error, parked FROM oms.dead_letters_ahead('marked');
SELECT oms.commit_reader('marked');
SELECT test.nothing($$SELECT * FROM oms.dead_letters_ahead('marked')$$, 'all were passed');
SELECT oms.detach_reader('marked');
SELECT oms.drop_reader('marked');
SELECT oms.drop_reader('unmarked');
DROP FUNCTION test.word, test.resume;
