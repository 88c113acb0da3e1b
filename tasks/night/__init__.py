"""A night of recalibration: what is new, whether the serving head holds, a contest, and who serves from now on."""
