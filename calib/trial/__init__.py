"""The benchmark and the ablation as pure functions: which rows play which part, which methods and variants compete.

Methods state a confidence (`methods`), decision rules how much a query needs the large model (`decisions`).
"""
