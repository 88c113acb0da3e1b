-- What changed between two windows, of time or of nights: one row for all, per policy of the router and per topic.
-- title: Drift: {windows}
-- reads: examples
-- optional: queries, predictions, night_examples
-- grain: part, slice
-- params: method, since
-- columns: part, slice, n_before, n_now, share_before, share_now, change, change_low, change_high, accuracy_before, accuracy_now, confidence_before, confidence_now
-- Of nights, the newest one that labelled something is held against all before it. Otherwise queries received from
-- `since` on are held against those received before; without it, the later half of the time against the earlier one.
-- Queries without a time are in neither window. Shares are of the window; change is share_now - share_before with its
-- 95% interval by Newcombe, each for itself. accuracy is how often the router was right, confidence the mean of «{method}»
-- on the rows that have one.
WITH span AS (
    SELECT MIN(EPOCH_US(received_at)) AS first_us, MAX(EPOCH_US(received_at)) AS last_us FROM queries
),
-- The later half begins after the middle, so that two times are two windows, however many rows each has.
cut AS (
    SELECT COALESCE(EPOCH_US(CAST($since AS TIMESTAMPTZ)), (first_us + last_us) // 2 + 1) AS cut_us FROM span
),
chosen AS (
    SELECT e.query_id, e.topic, e.router_policy, e.is_correct, EPOCH_US(q.received_at) >= cut_us AS is_now
    FROM examples AS e
    JOIN queries AS q ON q.query_id = e.query_id
    CROSS JOIN cut
    WHERE q.received_at IS NOT NULL
    UNION ALL
    SELECT query_id, topic, router_policy, is_correct, run_id = (SELECT MAX(run_id) FROM night_examples)
    FROM night_examples
),
cells AS (
    SELECT
        topic,
        router_policy,
        is_now,
        COUNT(*) AS n,
        COUNT(*) FILTER (WHERE is_correct) AS n_correct,
        COUNT(p) AS n_p,
        SUM(p) AS sum_p
    FROM chosen
    LEFT JOIN (SELECT query_id, p FROM predictions WHERE method = $method) AS predicted USING (query_id)
    GROUP BY topic, router_policy, is_now
),
sliced AS (
    SELECT 'all' AS part, 'all' AS slice, is_now, n, n_correct, n_p, sum_p FROM cells
    UNION ALL
    SELECT 'router policy', router_policy, is_now, n, n_correct, n_p, sum_p FROM cells
    UNION ALL
    SELECT 'topic', topic, is_now, n, n_correct, n_p, sum_p FROM cells
    WHERE EXISTS (FROM cells WHERE topic IS NOT NULL)
),
counted AS (
    SELECT
        part,
        slice,
        CAST(COALESCE(SUM(n) FILTER (WHERE NOT is_now), 0) AS BIGINT) AS n0,
        CAST(COALESCE(SUM(n) FILTER (WHERE is_now), 0) AS BIGINT) AS n1,
        SUM(n_correct) FILTER (WHERE NOT is_now) AS y0,
        SUM(n_correct) FILTER (WHERE is_now) AS y1,
        SUM(sum_p) FILTER (WHERE NOT is_now) / NULLIF(SUM(n_p) FILTER (WHERE NOT is_now), 0) AS p0,
        SUM(sum_p) FILTER (WHERE is_now) / NULLIF(SUM(n_p) FILTER (WHERE is_now), 0) AS p1
    FROM sliced
    GROUP BY part, slice
),
shares AS (
    SELECT
        *,
        SUM(n0) OVER whole AS all0,
        SUM(n1) OVER whole AS all1,
        n0 / NULLIF(all0, 0) AS share0,
        n1 / NULLIF(all1, 0) AS share1
    FROM counted
    WINDOW whole AS (PARTITION BY part)
)
SELECT
    part,
    slice,
    n0 AS n_before,
    n1 AS n_now,
    share0 AS share_before,
    share1 AS share_now,
    share1 - share0 AS change,
    change - SQRT((share1 - wilson_low(n1, all1)) ** 2 + (wilson_high(n0, all0) - share0) ** 2) AS change_low,
    change + SQRT((wilson_high(n1, all1) - share1) ** 2 + (share0 - wilson_low(n0, all0)) ** 2) AS change_high,
    y0 / NULLIF(n0, 0) AS accuracy_before,
    y1 / NULLIF(n1, 0) AS accuracy_now,
    p0 AS confidence_before,
    p1 AS confidence_now
FROM shares
ORDER BY part, slice NULLS LAST;
