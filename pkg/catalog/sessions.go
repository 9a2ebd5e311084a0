package catalog

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostSessions of one token are kept: the one that was unused for longest goes first.
const mostSessions = 50

// Session finds a session by the hash of its cookie, or says ErrUnknown.
func (c *Catalog) Session(hash auth.Hash) (auth.Session, error) {
	var s auth.Session
	found, err := c.find(sessionKey(hash), &s)
	if err == nil && !found {
		err = fleet.Unknown("no such session")
	}
	return s, err
}

// Sessions lists all of them, in no order that means anything.
func (c *Catalog) Sessions() ([]auth.Session, error) { return list[auth.Session](c, sessionPrefix) }

// AddSession begins a session of a token that is there, or of a person, and forgets those that are over.
func (c *Catalog) AddSession(ctx context.Context, s auth.Session, over func(auth.Session) bool) error {
	return c.update(ctx, func(t *tx) error {
		if s.Person == nil {
			there, err := t.has(tokenKey(s.Token))
			if err != nil {
				return err
			}
			if !there {
				return unknownToken(s.Token)
			}
		}
		kept, err := t.endSessions(over)
		if err != nil {
			return err
		}
		kept = slices.DeleteFunc(kept, func(one auth.Session) bool { return one.Token != s.Token })
		slices.SortFunc(kept, func(a, b auth.Session) int { return b.SeenAt.Compare(a.SeenAt) })
		for i := mostSessions - 1; i < len(kept); i++ {
			t.delete(sessionKey(kept[i].Hash))
		}
		t.tell(event.SessionStarted, sessionObject(s), sessionFacts(s))
		return t.put(sessionKey(s.Hash), s)
	})
}

// sessionObject is whose session it is.
func sessionObject(s auth.Session) fleet.Object {
	if s.Person != nil {
		return fleet.Object{Type: "person", ID: s.Token}
	}
	return fleet.Object{Type: "token", ID: s.Token}
}

func sessionFacts(s auth.Session) facts {
	told := facts{"session": s.ID()}
	if s.Person != nil {
		told["name"], told["role"], told["issuer"] = s.Person.Name, s.Person.Role, s.Person.Issuer
	}
	return told
}

// TouchSession notes that a session was used. One that was ended meanwhile stays ended.
func (c *Catalog) TouchSession(ctx context.Context, hash auth.Hash, at time.Time) error {
	return c.update(ctx, func(t *tx) error {
		var s auth.Session
		found, err := t.get(sessionKey(hash), &s)
		if err != nil || !found {
			return err
		}
		s.SeenAt = at
		return t.put(sessionKey(hash), s)
	})
}

// EndSessions ends those that are picked. It tells of each. Ending takes as little room as making some.
func (c *Catalog) EndSessions(ctx context.Context, which func(auth.Session) bool) error {
	op := newOperation(func(t *tx) error {
		_, err := t.endSessions(func(s auth.Session) bool {
			if !which(s) {
				return false
			}
			t.tell(event.SessionEnded, sessionObject(s), sessionFacts(s))
			return true
		})
		return err
	})
	op.frees = true
	return c.run(ctx, op)
}

// endSessions removes those that are picked, and returns the others.
func (t *tx) endSessions(which func(auth.Session) bool) (kept []auth.Session, err error) {
	hashes, err := t.keys(sessionPrefix)
	if err != nil {
		return nil, err
	}
	for _, key := range hashes {
		var s auth.Session
		found, bad := t.get(key, &s)
		switch {
		case bad != nil:
			err = errors.Join(err, bad)
		case !found:
		case which(s):
			t.delete(key)
		default:
			kept = append(kept, s)
		}
	}
	return kept, err
}
