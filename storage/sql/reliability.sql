-- Reliability bins of one method on one split: one row per bin, empty bins absent.
-- title: Reliability of «{method}», {split} split
-- reads: predictions
-- grain: bin
-- params: method, split, n_bins
-- columns: bin, n, mean_confidence, accuracy, accuracy_low, accuracy_high
-- overview: yes
-- Bin b (from 0) is [b/n_bins, (b+1)/n_bins); the last also holds p = 1. The interval is 95%, by Wilson.
WITH bins AS (
    SELECT
        bin_of(p, $n_bins) AS bin,
        COUNT(*) AS n,
        AVG(p) AS mean_confidence,
        CAST(COUNT_IF(is_correct) AS BIGINT) AS n_correct
    FROM predictions
    WHERE method = $method AND split = $split
    GROUP BY bin
)
SELECT
    CAST(bin AS INTEGER) AS bin,
    n,
    mean_confidence,
    n_correct / n AS accuracy,
    wilson_low(n_correct, n) AS accuracy_low,
    wilson_high(n_correct, n) AS accuracy_high
FROM bins
ORDER BY bin;
