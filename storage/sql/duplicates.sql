-- Queries that are one without case, white space and punctuation, under the same context: one row per group, at most 100.
-- title: Duplicate queries, largest groups first
-- reads: queries
-- optional: labels
-- grain: query_id
-- params: none
-- columns: query_id, query, n, n_labels, n_policies, n_groups
-- empty: no two queries are one without case, white space and punctuation
-- query_id and query are of the group's first query by id. n_policies counts the true policies of its labels: more than
-- one is noise of the labels, or a case that matters ("5 mW", "5 MW"). n_groups counts all groups, listed or not.
-- Paraphrases, and texts that differ in accents or in the order of words, are not found.
WITH texts AS MATERIALIZED (
    SELECT query_id, query, levelled(query) AS text, COALESCE(context, '') AS context FROM queries
),
-- Hashes are counted and texts only where they repeat: most queries are alone, and a group by ten million texts is slow.
repeated AS (
    SELECT HASH(text, context) AS key FROM texts GROUP BY key HAVING COUNT(*) > 1
),
groups AS (
    SELECT
        MIN(texts.query_id) AS query_id,
        ARG_MIN(texts.query, texts.query_id) AS query,
        COUNT(*) AS n,
        COUNT(labels.query_id) AS n_labels,
        COUNT(DISTINCT labels.true_policy) AS n_policies
    FROM texts
    LEFT JOIN (SELECT query_id, true_policy FROM labels) AS labels ON labels.query_id = texts.query_id
    WHERE HASH(text, context) IN (SELECT key FROM repeated)
    GROUP BY text, context
    HAVING COUNT(*) > 1
)
SELECT query_id, query, n, n_labels, n_policies, COUNT(*) OVER () AS n_groups
FROM groups
ORDER BY n DESC, query_id
LIMIT 100;
