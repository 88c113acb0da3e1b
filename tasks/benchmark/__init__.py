"""The benchmark and the ablation: recorded outcomes in, every method fitted and compared, tables out."""
