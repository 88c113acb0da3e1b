-- How often the router is right: one row per policy it chose and split.
-- title: Router accuracy
-- reads: examples
-- grain: router_policy, split
-- params: none
-- columns: router_policy, split, n, n_correct, accuracy
-- overview: yes
SELECT
    router_policy,
    split,
    COUNT(*) AS n,
    COUNT(*) FILTER (WHERE is_correct) AS n_correct,
    AVG(CAST(is_correct AS DOUBLE)) AS accuracy
FROM examples
GROUP BY router_policy, split
ORDER BY router_policy, split;
