"""The policy of a night of recalibration: pure functions of numbers, called by the flow and by its simulation alike.

row_roles       which earlier nights teach, judge and are remembered; how many rows are missing
head_health     how the serving head fares; may the night rest
outcome_shift   did the outcomes change
candidate       may the serving head be trained on; which of tonight's heads is the candidate
promotion_gate  the candidate against the serving head: the verdict
served_quality  what both decide at their thresholds: is fewer answered right, and was that asked for
action          is there a doubt; is the serving head due for renewal; what becomes of the candidate
"""
