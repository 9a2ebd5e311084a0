package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Trouble is one thing that needs somebody.
type Trouble struct {
	ID     string    `json:"id"`   // stays while it goes on, and is another one when it begins anew
	Kind   string    `json:"kind"` // in a word or two
	Text   string    `json:"text"`
	Detail string    `json:"detail,omitempty"`
	Bad    bool      `json:"bad"`            // else it can wait
	Page   string    `json:"page,omitempty"` // the address on the page where more of it is
	Weight int       `json:"weight"`         // devices or crashes; more of them is worse
	Since  time.Time `json:"since,omitzero"`
	Seen   *SeenBy   `json:"seen"` // null: by nobody, or it has become worse since
}

// SeenBy is who has seen something, and when.
type SeenBy struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// TroubleID names a trouble by what it is about.
func TroubleID(kind, about string) string {
	sum := sha256.Sum256([]byte(kind + "\n" + about))
	return hex.EncodeToString(sum[:8])
}

// NotedTrouble is a trouble that somebody has seen, as bad as it was then.
type NotedTrouble struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Weight int    `json:"weight"`
	SeenBy
}

// Covers reports that a trouble is no worse than when it was seen. Of many devices a tenth more is no news.
func (n NotedTrouble) Covers(t Trouble) bool { return n.ID == t.ID && t.Weight <= n.Weight+n.Weight/10 }

// ObjectOf names it in events.
func (t Trouble) ObjectOf() Object { return Object{Type: "trouble", ID: t.ID} }

// Wrong is something that is wrong with the gateway itself.
type Wrong struct {
	Kind  string // of a few, which metrics have too
	About string // what is wrong, while the sentence may change
	Text  string
}
