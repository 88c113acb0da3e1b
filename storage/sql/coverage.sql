-- What is there of every query: one row per topic and split that occur.
-- title: Coverage by topic and split
-- reads: queries
-- optional: labels, features, examples, predictions
-- grain: topic, split
-- params: method
-- columns: topic, split, n, n_features, n_labels, n_graded, n_priced, n_predicted
-- split is NULL for queries that became no example, as they lack a label or features. n_graded have grades of both
-- answers, n_priced a known cost of both, n_predicted a confidence of «{method}».
SELECT
    queries.topic,
    examples.split,
    COUNT(*) AS n,
    COUNT(features.query_id) AS n_features,
    COUNT(labels.query_id) AS n_labels,
    COUNT(*) FILTER (WHERE medium_grade IS NOT NULL AND large_grade IS NOT NULL) AS n_graded,
    COUNT(*) FILTER (WHERE medium_cost_usd IS NOT NULL AND large_cost_usd IS NOT NULL) AS n_priced,
    COUNT(predicted.query_id) AS n_predicted
FROM queries
LEFT JOIN features ON features.query_id = queries.query_id
LEFT JOIN (SELECT query_id, medium_grade, large_grade, medium_cost_usd, large_cost_usd FROM labels) AS labels
    ON labels.query_id = queries.query_id
LEFT JOIN (SELECT query_id, split FROM examples) AS examples ON examples.query_id = queries.query_id
LEFT JOIN (SELECT query_id FROM predictions WHERE method = $method) AS predicted ON predicted.query_id = queries.query_id
GROUP BY queries.topic, examples.split
ORDER BY queries.topic NULLS LAST, examples.split NULLS LAST;
