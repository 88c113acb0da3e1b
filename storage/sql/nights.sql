-- How the serving head fared night by night, oldest first.
-- title: Nights
-- reads: nights
-- grain: night
-- params: none
-- columns: night, action, n_new, n_labelled, cost_usd, n_window, ece, ece_high, brier, escalated, drift_p_value
-- ECE and Brier are those of the head that serves after the night: the candidate's if it was promoted. They are NULL on
-- nights that judged nothing.
SELECT
    strftime(ended_at, '%Y-%m-%d %H:%M') AS night,
    action,
    n_new,
    n_labelled,
    cost_usd,
    n_window,
    CASE WHEN action = 'promoted' THEN candidate_ece ELSE champion_ece END AS ece,
    CASE WHEN action = 'promoted' THEN candidate_ece_high ELSE champion_ece_high END AS ece_high,
    CASE WHEN action = 'promoted' THEN candidate_brier ELSE champion_brier END AS brier,
    escalated,
    drift_p_value
FROM nights
ORDER BY ended_at, run_id;
