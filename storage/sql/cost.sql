-- What the labels cost: one row per role (medium, large, judge).
-- title: Cost of the labels
-- reads: labels
-- grain: role
-- params: none
-- columns: role, n, n_unpriced, cost_usd, n_uncounted, tokens_in, tokens_out
-- overview: yes
-- Sums cover known values alone and are NULL where none is known; n_unpriced and n_uncounted say how many labels lack a
-- price or a token count.
WITH calls AS (
    SELECT 1 AS place, 'medium' AS role, medium_cost_usd AS cost, medium_tokens_in AS t_in, medium_tokens_out AS t_out
    FROM labels
    UNION ALL
    SELECT 2, 'large', large_cost_usd, large_tokens_in, large_tokens_out FROM labels
    UNION ALL
    SELECT 3, 'judge', judge_cost_usd, judge_tokens_in, judge_tokens_out FROM labels
)
SELECT
    role,
    COUNT(*) AS n,
    COUNT(*) - COUNT(cost) AS n_unpriced,
    SUM(cost) AS cost_usd,
    COUNT(*) FILTER (WHERE t_in IS NULL OR t_out IS NULL) AS n_uncounted,
    CAST(SUM(t_in) AS BIGINT) AS tokens_in,
    CAST(SUM(t_out) AS BIGINT) AS tokens_out
FROM calls
GROUP BY place, role
ORDER BY place;
