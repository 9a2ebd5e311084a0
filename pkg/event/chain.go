package event

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Link is a place in the chain: an event's number and its hash.
type Link struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// First is what the first event of a gateway follows from.
var First = Link{Hash: strings.Repeat("0", 2*sha256.Size)}

// most is what a stored event may take in bytes: two configurations of 4 KiB, and the rest of it.
const most = 24 << 10

// mostText bounds what people and devices call things, in bytes: a name or an address is no place for a novel.
const mostText = 256

// Follow makes of e the event that follows from a link, and returns it as it is stored: in the form of RFC 8785, with
// hash = hex of SHA-256 over the 64 hex digits before it, a newline, and that form without hash. Details that would not
// fit are left out, and it says so.
func Follow(before Link, e fleet.Event) (Link, Stored, error) {
	e.Seq, e.Hash, e.At = before.Seq+1, "", e.At.UTC().Truncate(time.Microsecond)
	for _, text := range []*string{&e.Actor.ID, &e.Actor.Name, &e.From, &e.Object.ID} {
		*text = clip(*text)
	}
	hash, raw, err := seal(before, e)
	if err == nil && len(raw) > most {
		e.Details = json.RawMessage(`{"left_out":"the details were too large"}`)
		hash, raw, err = seal(before, e)
	}
	if err != nil {
		return before, Stored{}, fmt.Errorf("event %s: %w", e.Kind, err)
	}
	e.Hash = hash
	return Link{e.Seq, hash}, Stored{e, raw}, nil
}

// sealed is an event without its hash.
type sealed struct {
	fleet.Event
	Hash string `json:"hash,omitempty"` // hides the event's
}

func seal(before Link, e fleet.Event) (hash string, raw []byte, err error) {
	bare, err := canonical(sealed{Event: e})
	if err != nil {
		return "", nil, err
	}
	hash = digest(before.Hash, bare)
	raw, err = canonical(sealed{e, hash})
	return hash, raw, err
}

func digest(before string, bare []byte) string {
	sum := sha256.New()
	io.WriteString(sum, before+"\n") //nolint:errcheck // a hash takes everything
	sum.Write(bare)
	return hex.EncodeToString(sum.Sum(nil))
}

func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}

func clip(s string) string {
	if len(s) > mostText {
		return strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// BrokenError is the first event that does not follow from the one before it.
type BrokenError struct{ Seq uint64 }

func (e *BrokenError) Error() string {
	return fmt.Sprintf("event %d does not follow from %d", e.Seq, e.Seq-1)
}

// Check says whether stored bytes are the event that follows from a link. Every byte counts: they have to be in the form
// in which they were stored.
func Check(before Link, raw []byte) (Link, error) {
	broken := &BrokenError{before.Seq + 1}
	var members map[string]json.RawMessage
	var said struct {
		Seq  uint64 `json:"seq"`
		Hash string `json:"hash"`
	}
	if json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &said) != nil || said.Seq != broken.Seq {
		return before, broken
	}
	whole, err := jcs.Transform(raw)
	if err != nil || !bytes.Equal(whole, raw) {
		return before, broken
	}
	delete(members, "hash")
	bare, err := canonical(members)
	if err != nil || digest(before.Hash, bare) != said.Hash {
		return before, broken
	}
	return Link{said.Seq, said.Hash}, nil
}

// Anchor is the first line of an export: what its first event follows from.
type Anchor struct {
	Anchor *Link `json:"anchor"`
}

// Verify reads an export, a line for the anchor and one for each event, and says how many events it has and where it
// ends. The first event that does not follow is a [BrokenError].
func Verify(r io.Reader) (events int, end Link, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 2*most)
	var first Anchor
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &first) != nil || first.Anchor == nil {
		return 0, end, errors.Join(lines.Err(), errors.New(`the first line is not {"anchor":{"seq":…,"hash":…}}: want what slipway audit export has written`))
	}
	for end = *first.Anchor; lines.Scan(); events++ {
		if end, err = Check(end, lines.Bytes()); err != nil {
			return events, end, err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return events, end, &BrokenError{end.Seq + 1}
	}
	return events, end, lines.Err()
}
