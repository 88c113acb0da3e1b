-- Reliability bins of one method by the router's policy and by topic: one row per slice and bin, empty ones absent.
-- title: Reliability of «{method}» by slice, {split} split
-- reads: predictions, examples
-- grain: part, slice, bin
-- params: method, split, n_bins
-- columns: part, slice, bin, n, mean_confidence, accuracy, accuracy_low, accuracy_high, slice_ece
-- Rows of each part sum to those of reliability.sql. Where no query has a topic there is no part 'topic'; where some have
-- one, the others are the slice NULL. Bins are those of reliability.sql, slice_ece is over all bins of the slice, biased
-- upward at small n. 95% intervals, by Wilson, each for itself: of twenty expect one to miss.
WITH cells AS (
    SELECT
        examples.router_policy,
        examples.topic,
        bin_of(p, $n_bins) AS bin,
        COUNT(*) AS n,
        SUM(p) AS sum_p,
        CAST(COUNT_IF(predictions.is_correct) AS BIGINT) AS n_correct
    FROM predictions
    JOIN examples ON examples.query_id = predictions.query_id
    WHERE predictions.method = $method AND predictions.split = $split AND examples.split = $split
    GROUP BY examples.router_policy, examples.topic, bin
),
sliced AS (
    SELECT 'router policy' AS part, router_policy AS slice, bin, n, sum_p, n_correct FROM cells
    UNION ALL
    SELECT 'topic', topic, bin, n, sum_p, n_correct FROM cells WHERE EXISTS (FROM cells WHERE topic IS NOT NULL)
),
bins AS (
    SELECT
        part,
        slice,
        bin,
        CAST(SUM(n) AS BIGINT) AS n,
        SUM(sum_p) AS sum_p,
        CAST(SUM(n_correct) AS BIGINT) AS n_correct
    FROM sliced
    GROUP BY part, slice, bin
)
SELECT
    part,
    slice,
    CAST(bin AS INTEGER) AS bin,
    n,
    sum_p / n AS mean_confidence,
    n_correct / n AS accuracy,
    wilson_low(n_correct, n) AS accuracy_low,
    wilson_high(n_correct, n) AS accuracy_high,
    SUM(ABS(sum_p - n_correct)) OVER (PARTITION BY part, slice) / SUM(n) OVER (PARTITION BY part, slice) AS slice_ece
FROM bins
ORDER BY part, slice NULLS LAST, bin;
