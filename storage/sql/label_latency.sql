-- How long queries waited for their label, from received_at to labelled_at: one row per oracle.
-- title: Hours from query to label
-- reads: labels, queries
-- grain: oracle
-- params: none
-- columns: oracle, n, n_unknown, n_negative, median_h, p90_h, p99_h, max_h
-- n_unknown labels are of queries without a received_at; quantiles are of the others. n_negative were labelled before
-- their query is said to have come: a clock is wrong, or received_at is no time of arrival.
WITH waited AS (
    SELECT labels.oracle, (EPOCH_US(labels.labelled_at) - EPOCH_US(queries.received_at)) / 3.6e9 AS hours
    FROM labels
    LEFT JOIN (SELECT query_id, received_at FROM queries) AS queries ON queries.query_id = labels.query_id
)
SELECT
    oracle,
    COUNT(*) AS n,
    COUNT(*) - COUNT(hours) AS n_unknown,
    COUNT(*) FILTER (WHERE hours < 0) AS n_negative,
    QUANTILE_CONT(hours, 0.5) AS median_h,
    QUANTILE_CONT(hours, 0.9) AS p90_h,
    QUANTILE_CONT(hours, 0.99) AS p99_h,
    MAX(hours) AS max_h
FROM waited
GROUP BY oracle
ORDER BY oracle;
