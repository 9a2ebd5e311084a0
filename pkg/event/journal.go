package event

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
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
	line.AddAttrs(about(e)...)
	logger.Handler().Handle(context.Background(), line) //nolint:errcheck // as slog.Logger has it
}

// about are what the event happened to, and the facts. Those of a rollout begin with what a person reads first.
func about(e fleet.Event) []slog.Attr {
	attrs := facts(e.Details)
	if e.Object.Type != "rollout" {
		return append(object(e.Object), attrs...)
	}
	code, number, _ := strings.Cut(e.Object.ID, "/")
	attrs = slices.DeleteFunc(attrs, func(a slog.Attr) bool { return a.Key == "model" || a.Key == "rollout" })
	attrs = append(attrs, slog.String("model", code), slog.String("rollout", number))
	place := func(a slog.Attr) int {
		if i := slices.Index(rolloutFacts, a.Key); i >= 0 {
			return i
		}
		return len(rolloutFacts)
	}
	slices.SortStableFunc(attrs, func(a, b slog.Attr) int { return cmp.Compare(place(a), place(b)) })
	return attrs
}

// rolloutFacts are the facts of a rollout in the order in which a line has them.
var rolloutFacts = []string{"model", "version", "wave", "why", "signature", "frame", "new", "old", "devices", "evidence", "rollout"}

// plain are the kinds that people have other words for.
var plain = map[fleet.EventKind]string{RolloutWaveOpened: "wave opened", DeviceFound: "device is back", LineLit: "line is back"}

// words are a kind as people read it.
func words(kind fleet.EventKind) string {
	if said, is := plain[kind]; is {
		return said
	}
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
			if v == math.Trunc(v) && math.Abs(v) < 1<<53 { // counts and bytes
				attrs = append(attrs, slog.Int64(name, int64(v)))
			} else {
				attrs = append(attrs, slog.Float64(name, v))
			}
		}
	}
	return attrs
}
