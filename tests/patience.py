"""How long a test waits for another process before it fails."""

# Ends a test that hangs; says nothing of speed. CI runs two jobs of three workers on two cores, and there an import of
# twelve seconds has taken seventy.
PATIENCE_S = 900.0
