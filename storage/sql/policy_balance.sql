-- True policies by topic and split: one row per combination that occurs; a query without a topic has topic NULL.
-- title: True policies by topic and split
-- reads: examples
-- grain: topic, split, true_policy
-- params: none
-- columns: topic, split, true_policy, n, share
-- overview: yes
-- share is of the examples with the same topic and split, in [0, 1].
SELECT topic, split, true_policy, COUNT(*) AS n, COUNT(*) / SUM(COUNT(*)) OVER (PARTITION BY topic, split) AS share
FROM examples
GROUP BY topic, split, true_policy
ORDER BY topic NULLS LAST, split, true_policy;
