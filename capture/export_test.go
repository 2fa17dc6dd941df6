package capture

// SteadyAt is Steady for a source that delivers packets when they come, by a
// clock that gives nanoseconds since the Unix epoch.
func SteadyAt(src Source, now func() int64) Source { return &steady{Source: src, now: now} }
