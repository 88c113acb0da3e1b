"""The benchmark and the ablation as pure functions: which rows play which part, which methods and variants compete."""
