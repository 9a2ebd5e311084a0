package espcore

// Top is the frame that people know a crash by: the innermost one in the app's own code of the task that crashed, or
// where there is none the innermost one that is no noise; nil without either.
func (r *Report) Top() *Frame {
	if frames := r.telling(); len(frames) > 0 {
		return &frames[0]
	}
	return nil
}

// CrashedTask is the name of the task that crashed, "" where the dump does not say.
func (r *Report) CrashedTask() string {
	if t := r.crashed(); t != nil {
		return t.Name
	}
	return ""
}
