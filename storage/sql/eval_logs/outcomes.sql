-- One row per question that both logs graded, in the order of the medium model's log.
-- matches: the rows of matches.sql.
SELECT
    medium.query,
    coalesce(medium.target, large.target) AS ground_truth,
    coalesce(medium.topic, large.topic) AS topic,
    medium.answer AS medium_answer,
    large.answer AS large_answer,
    medium.grade AS medium_label,
    large.grade AS large_label,
    medium.share_right AS medium_share_right,
    large.share_right AS large_share_right,
    medium.answers AS medium_answers,
    large.answers AS large_answers,
    medium.tokens_in AS medium_tokens_in,
    medium.tokens_out AS medium_tokens_out,
    large.tokens_in AS large_tokens_in,
    large.tokens_out AS large_tokens_out,
    medium.cost_usd AS medium_cost_usd,
    large.cost_usd AS large_cost_usd,
    coalesce(medium.id, large.id) AS id
FROM matches
WHERE is_same AND NOT is_contradictory
ORDER BY medium.place
