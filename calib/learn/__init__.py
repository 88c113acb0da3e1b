"""Learning a head from labelled rows: SFT, RL with its losses and rewards, cross-fitting, choice of the block."""
