package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/journal"
)

// UnderJournal reports that standard error goes to the journal: systemd says which file that is.
func UnderJournal() bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	var stat syscall.Stat_t
	return syscall.Fstat(2, &stat) == nil && uint64(stat.Dev) == device && stat.Ino == inode && journal.Enabled()
}

// Handler writes log records to the journal with fields that `journalctl SLIPWAY_DEVICE=…` finds: the message is the
// event, and the attributes device, model and version have fields of their own names.
type Handler struct {
	level slog.Leveler
	attrs []slog.Attr
	group string
	send  func(message string, priority journal.Priority, fields map[string]string) error
}

// NewHandler writes records of a level and above.
func NewHandler(level slog.Leveler) *Handler {
	return &Handler{level: level, send: journal.Send}
}

// Enabled is slog's.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// WithAttrs is slog's.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clone := *h
	clone.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], h.prefixed(attrs)...)
	return &clone
}

// WithGroup is slog's.
func (h *Handler) WithGroup(name string) slog.Handler {
	clone := *h
	clone.group += name + "_"
	return &clone
}

func (h *Handler) prefixed(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = slog.Attr{Key: h.group + a.Key, Value: a.Value}
	}
	return out
}

// fieldOf names the attributes that have a field with another name than their own.
var fieldOf = map[string]string{"version": "SLIPWAY_BUILD"}

// Handle is slog's.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]string{"SLIPWAY_EVENT": r.Message, "SYSLOG_IDENTIFIER": "slipway"}
	var text strings.Builder
	text.WriteString(r.Message)
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		fmt.Fprintf(&text, " %s=%s", a.Key, quoted(value))
		name := fieldOf[a.Key]
		if name == "" {
			name = "SLIPWAY_" + strings.ToUpper(a.Key)
		}
		fields[name] = value
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool { return add(slog.Attr{Key: h.group + a.Key, Value: a.Value}) })
	return h.send(text.String(), priority(r.Level), fields)
}

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=\n\t") {
		return fmt.Sprintf("%q", s)
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
