package replay

// Paused reports whether the run stands still.
func (e *Engine) Paused() bool { return false }
