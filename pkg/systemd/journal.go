package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/journal"
)

// UnderJournal reports that standard error goes to the journal: systemd says in JOURNAL_STREAM which file that is, and
// a child whose standard error went elsewhere has inherited only the variable.
func UnderJournal() bool {
	stream, err := journal.StderrIsJournalStream()
	return err == nil && stream && journal.Enabled()
}

// Handler writes log records to the journal with fields that `journalctl SLIPWAY_DEVICE=…` finds: the message is the
// event, and each attribute has a field of its own. The text is the message with its attributes.
type Handler struct {
	level slog.Leveler
	attrs []slog.Attr // named with their groups
	group string      // prefix of further attributes
	send  func(message string, priority journal.Priority, fields map[string]string) error
}

// NewHandler writes records of a level and above.
func NewHandler(level slog.Leveler) *Handler {
	return &Handler{level: level, send: journal.Send}
}

// Journal is a Handler behind the queue.
func (q *Queue) Journal(level slog.Leveler) *Handler {
	return &Handler{level: level, send: func(message string, priority journal.Priority, fields map[string]string) error {
		size := len(message)
		for name, value := range fields {
			size += len(name) + len(value)
		}
		q.put(size, func() error { return journal.Send(message, priority, fields) })
		return nil
	}}
}

// Enabled is slog's.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// WithAttrs is slog's.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clone := *h
	clone.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		clone.attrs = append(clone.attrs, slog.Attr{Key: h.group + a.Key, Value: a.Value})
	}
	return &clone
}

// WithGroup is slog's.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	clone := *h
	clone.group += name + "."
	return &clone
}

// Handle is slog's.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	e := entry{fields: map[string]string{"SLIPWAY_EVENT": r.Message, "SYSLOG_IDENTIFIER": "slipway"}}
	e.text.WriteString(r.Message)
	for _, a := range h.attrs {
		e.add("", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		e.add(h.group, a)
		return true
	})
	return h.send(e.text.String(), priority(r.Level), e.fields)
}

// entry is a record on its way into the journal.
type entry struct {
	text   strings.Builder
	fields map[string]string
}

// add adds an attribute; those of a group become its members, named "group.member".
func (e *entry) add(prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" { // a group without a name lies open
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			e.add(prefix, member)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	text := value.String()
	fmt.Fprintf(&e.text, " %s=%s", prefix+a.Key, quoted(text))
	e.fields[fieldName(prefix+a.Key)] = harmless(text)
}

// mostFieldName is journald's limit; it ignores a field with a longer name.
const mostFieldName = 64

// fieldName is SLIPWAY_ and the attribute's name in capitals. A firmware's version is the build that people look for.
func fieldName(attr string) string {
	if attr == "version" {
		return "SLIPWAY_BUILD"
	}
	name := "SLIPWAY_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, attr)
	return name[:min(len(name), mostFieldName)]
}

// quoted is a value in the text. One that is empty, has a space, or could steer the terminal on which it is read, is quoted.
func quoted(s string) string {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// harmless is a value in its field, whole with its lines, such as those of a stack. One that could steer a terminal is quoted:
// journalctl -o cat prints fields as they are.
func harmless(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
