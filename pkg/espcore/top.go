package espcore

// Top is the frame that people know a crash by: the innermost one in the app's own code of the task to blame, or
// where there is none the innermost one that is no noise; nil without either.
func (r *Report) Top() *Frame {
	if frames := r.telling(); len(frames) > 0 {
		return &frames[0]
	}
	return nil
}

// CrashedTask is the name of the task to blame: mostly the one that crashed, after a task watchdog the one that starved. It
// is "" where the dump does not say.
func (r *Report) CrashedTask() string {
	if t := r.blamed(); t != nil {
		return t.Name
	}
	return ""
}
