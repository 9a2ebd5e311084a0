package api

import "encoding/json"

// Events are a page of the stream, each event in the form that its hash is of.
type Events struct {
	Events []json.RawMessage `json:"events"`
	Next   *string           `json:"next"` // for after, or for before where that was asked for; null on the last page
}
