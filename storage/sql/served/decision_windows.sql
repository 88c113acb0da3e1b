-- Decisions of the last hour, of the last day, and of all that is there: one row per window, in this order.
-- reads: parts
-- params: now
-- columns: name, since, n, medium, large, ok, fallback, unlike, shadow, asked, p50_s, p95_s
-- `parts` are rows of decision_counts.sql. Windows begin with a whole minute. A quantile is the least time that so large
-- a share of decisions needs at most. Where n is 0 quantiles are NULL, and so is `since` of all.
WITH windows AS (
    SELECT *
    FROM (VALUES
        (1, 'last hour', date_trunc('minute', $now) - INTERVAL 1 HOUR),
        (2, 'last day', date_trunc('minute', $now) - INTERVAL 1 DAY),
        (3, 'all', NULL)
    ) AS w (position, name, since)
),
inside AS (
    SELECT position, parts.*
    FROM windows
    JOIN parts ON since IS NULL OR minute >= since
),
times AS (
    SELECT position, seconds, SUM(n) AS n
    FROM inside
    GROUP BY position, seconds
),
ranked AS (
    SELECT
        position,
        seconds,
        SUM(n) OVER (PARTITION BY position ORDER BY seconds) AS up_to,
        SUM(n) OVER (PARTITION BY position) AS total
    FROM times
),
quantiles AS (
    SELECT
        position,
        MIN(seconds) FILTER (WHERE up_to >= 0.5 * total) AS p50_s,
        MIN(seconds) FILTER (WHERE up_to >= 0.95 * total) AS p95_s
    FROM ranked
    GROUP BY position
),
counts AS (
    SELECT
        position,
        MIN(minute) AS oldest,
        SUM(n) AS n,
        SUM(n) FILTER (WHERE served = 'medium') AS medium,
        SUM(n) FILTER (WHERE served = 'large') AS large,
        SUM(n) FILTER (WHERE status = 'ok') AS ok,
        SUM(n) FILTER (WHERE status = 'fallback') AS fallback,
        SUM(n) FILTER (WHERE status = 'unlike') AS unlike,
        SUM(n) FILTER (WHERE status = 'shadow') AS shadow,
        SUM(n) FILTER (WHERE status = 'asked') AS asked
    FROM inside
    GROUP BY position
)
SELECT
    name,
    COALESCE(since, oldest) AS since,
    CAST(COALESCE(n, 0) AS BIGINT) AS n,
    CAST(COALESCE(medium, 0) AS BIGINT) AS medium,
    CAST(COALESCE(large, 0) AS BIGINT) AS large,
    CAST(COALESCE(ok, 0) AS BIGINT) AS ok,
    CAST(COALESCE(fallback, 0) AS BIGINT) AS fallback,
    CAST(COALESCE(unlike, 0) AS BIGINT) AS unlike,
    CAST(COALESCE(shadow, 0) AS BIGINT) AS shadow,
    CAST(COALESCE(asked, 0) AS BIGINT) AS asked,
    p50_s,
    p95_s
FROM windows
LEFT JOIN counts USING (position)
LEFT JOIN quantiles USING (position)
ORDER BY position
