-- Queries that are one without case, white space and punctuation but lie in several splits: one row per group, at most 100.
-- title: Leakage between splits
-- reads: examples
-- grain: query_id
-- params: none
-- columns: query_id, query, n, n_test, splits, n_groups
-- empty: no query is in two splits, whatever its case, white space and punctuation
-- query_id and query are of the group's first query by id. The split follows from the set of a query's words, so a
-- group here was split by another rule: by an early version, or by hand. Not found are paraphrases, which a rule by words
-- cannot keep together either. n_groups counts all groups, listed or not.
WITH texts AS MATERIALIZED (
    SELECT query_id, query, levelled(query) AS text, split FROM examples
),
-- As in duplicates.sql.
repeated AS (
    SELECT HASH(text) AS key FROM texts GROUP BY key HAVING COUNT(*) > 1
),
groups AS (
    SELECT
        MIN(query_id) AS query_id,
        ARG_MIN(query, query_id) AS query,
        COUNT(*) AS n,
        COUNT(*) FILTER (WHERE split = 'test') AS n_test,
        STRING_AGG(DISTINCT split, ', ' ORDER BY split) AS splits
    FROM texts
    WHERE HASH(text) IN (SELECT key FROM repeated)
    GROUP BY text
    HAVING COUNT(DISTINCT split) > 1
)
SELECT query_id, query, n, n_test, splits, COUNT(*) OVER () AS n_groups
FROM groups
ORDER BY n DESC, query_id
LIMIT 100;
