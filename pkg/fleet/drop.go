package fleet

import "time"

// Drop is a dropped file that was rejected, and lies among the rejected ones.
type Drop struct {
	Name       string    `json:"name"` // as it can be printed
	Size       int64     `json:"size"` // bytes
	RejectedAt time.Time `json:"rejected_at"`
	Reason     string    `json:"reason"` // "" where it is not there any more
}

// ObjectOf names it in events.
func (d Drop) ObjectOf() Object { return Object{Type: "drop", ID: d.Name} }
