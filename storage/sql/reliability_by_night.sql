-- Calibration of the candidates that nights trained: one row per night that trained one, oldest first.
-- title: Reliability of «{method}» by night, {split} split
-- reads: night_predictions
-- grain: run_id
-- params: method, split, n_bins
-- columns: run_id, n, mean_confidence, accuracy, accuracy_low, accuracy_high, ece
-- A night predicts all rows that it learned from or holds out, so the rows of one night are largely among those of the
-- next: two nights differ by less than their intervals, taken as if independent, would say. What served is in nights.sql.
-- Bins and ece are those of ece.sql. 95% intervals, by Wilson.
WITH bins AS (
    SELECT
        run_id,
        bin_of(p, $n_bins) AS bin,
        COUNT(*) AS n,
        SUM(p) AS sum_p,
        CAST(COUNT_IF(is_correct) AS BIGINT) AS n_correct
    FROM night_predictions
    WHERE method = $method AND split = $split
    GROUP BY run_id, bin
),
nights AS (
    SELECT
        run_id,
        CAST(SUM(n) AS BIGINT) AS n,
        SUM(sum_p) AS sum_p,
        CAST(SUM(n_correct) AS BIGINT) AS n_correct,
        SUM(ABS(sum_p - n_correct)) AS gaps
    FROM bins
    GROUP BY run_id
)
SELECT
    run_id,
    n,
    sum_p / n AS mean_confidence,
    n_correct / n AS accuracy,
    wilson_low(n_correct, n) AS accuracy_low,
    wilson_high(n_correct, n) AS accuracy_high,
    gaps / n AS ece
FROM nights
ORDER BY run_id;
