-- What answers to decided queries cost: one row per model that served, with the moments of its costs.
-- reads: answers
-- params: none
-- columns: served, n, n_unpriced, mean_usd, m2, m3
-- Not those to queries whose model the client named: nothing was saved or spent by deciding. `m2` and `m3` are sums of
-- squares and cubes of the distances from the mean; NULL where no answer has a price. `n_unpriced` are whole answers
-- without one.
WITH decided AS (
    SELECT *, AVG(cost_usd) OVER (PARTITION BY served) AS mean_usd
    FROM answers
    WHERE decision_status <> 'asked'
)
SELECT
    served,
    COUNT(cost_usd) AS n,
    COUNT(*) FILTER (WHERE cost_usd IS NULL AND outcome = 'ok' AND status < 300) AS n_unpriced,
    ANY_VALUE(mean_usd) AS mean_usd,
    SUM(POWER(cost_usd - mean_usd, 2)) AS m2,
    SUM(POWER(cost_usd - mean_usd, 3)) AS m3
FROM decided
GROUP BY served
ORDER BY served
