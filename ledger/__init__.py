"""What every room stands on: history, guarded states, row locks and money."""
