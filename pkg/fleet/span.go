package fleet

import "time"

// Span is a part of time with both of its ends. A zero end is open, the zero Span is all of time.
type Span struct{ Since, Until time.Time }

// IsZero reports that nothing is left out.
func (s Span) IsZero() bool { return s.Since.IsZero() && s.Until.IsZero() }

// Has reports that a moment lies in it. What has no time lies in the zero Span only.
func (s Span) Has(at time.Time) bool { return s.Meets(at, at) }

// Meets reports that something which was there from first to last was there in a part of it.
func (s Span) Meets(first, last time.Time) bool {
	return s.IsZero() || !last.IsZero() && !last.Before(s.Since) && (s.Until.IsZero() || !first.After(s.Until))
}
