"""When a call may go: rate, tokens and money per model, one cool-down, a width that adapts, a day's quota."""
