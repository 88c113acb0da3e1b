-- Reliability bins of one method on one split: one row per bin, empty bins absent.
-- title: Reliability of «{method}», test split
-- reads: predictions
-- grain: bin
-- params: method, split, n_bins
-- columns: bin, n, mean_confidence, accuracy
-- Bin b (from 0) is [b/n_bins, (b+1)/n_bins); the last also holds p = 1.
-- FLOOR(p * n_bins) alone rounds (0.29 * 100 < 29), so the result is compared with the edges as doubles.
WITH chosen AS (
    SELECT p, CAST(is_correct AS DOUBLE) AS y, CAST($n_bins AS DOUBLE) AS b_count
    FROM predictions
    WHERE method = $method AND split = $split
),
guessed AS (
    SELECT p, y, b_count, FLOOR(p * b_count) AS guess FROM chosen
),
placed AS (
    SELECT
        p,
        y,
        LEAST(
            CASE WHEN p >= (guess + 1) / b_count THEN guess + 1 WHEN p < guess / b_count THEN guess - 1 ELSE guess END,
            b_count - 1
        ) AS place
    FROM guessed
)
SELECT CAST(place AS INTEGER) AS bin, COUNT(*) AS n, AVG(p) AS mean_confidence, AVG(y) AS accuracy
FROM placed
GROUP BY place
ORDER BY place;
