"""How models are trained: configuration, schedules, the fit itself."""
