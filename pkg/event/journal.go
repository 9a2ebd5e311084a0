package event

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Log writes an event as a line of the journal: the kind in words as its message, such as "build published".
func Log(logger *slog.Logger, e fleet.Event) {
	level := slog.LevelInfo
	if alarming[e.Kind] {
		level = slog.LevelWarn
	}
	if !logger.Enabled(context.Background(), level) {
		return
	}
	line := slog.NewRecord(time.Now(), level, words(e.Kind), 0)
	line.AddAttrs(slog.Uint64("seq", e.Seq), slog.String("by", who(e.Actor)))
	if e.From != "" {
		line.AddAttrs(slog.String("from", e.From))
	}
	line.AddAttrs(object(e.Object)...)
	line.AddAttrs(facts(e.Details)...)
	logger.Handler().Handle(context.Background(), line) //nolint:errcheck // as slog.Logger has it
}

// words are a kind as people read it.
func words(kind fleet.EventKind) string {
	return strings.NewReplacer(".", " ", "_", " ").Replace(string(kind))
}

func who(a fleet.Actor) string {
	if a.ID == "" {
		return string(a.Type)
	}
	return string(a.Type) + " " + a.ID
}

func object(o fleet.Object) []slog.Attr {
	switch code, version, _ := strings.Cut(o.ID, "/"); o.Type {
	case "build":
		return []slog.Attr{slog.String("model", code), slog.String("version", version)}
	case "dump":
		return []slog.Attr{slog.String("device", code), slog.String("file", version)}
	case "gateway":
		return nil
	}
	return []slog.Attr{slog.String(o.Type, o.ID)}
}

// facts are the details that fit into a line: before and after are the event's own matter.
func facts(details json.RawMessage) []slog.Attr {
	var all map[string]any
	if details == nil || json.Unmarshal(details, &all) != nil {
		return nil
	}
	var attrs []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch v := all[name].(type) {
		case string, bool:
			attrs = append(attrs, slog.Any(name, v))
		case float64:
			attrs = append(attrs, slog.Int64(name, int64(v))) // counts and bytes
		}
	}
	return attrs
}
