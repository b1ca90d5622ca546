\set n random(1, 1000000000000)
SELECT bench.place(:n, 'p-' || :n);
