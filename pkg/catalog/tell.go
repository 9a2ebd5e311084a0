package catalog

import (
	"encoding/json"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What a change tells is seen from the records before and after it: whoever changes them, by whatever route, cannot
// forget to say so. A record that comes out as it went in tells nothing.

// changes are the members that differ, as they were and as they are.
type changes struct {
	Before facts `json:"before"`
	After  facts `json:"after"`
}

func (c *changes) note(name string, before, after any, same bool) {
	if same {
		return
	}
	if c.Before == nil {
		c.Before, c.After = facts{}, facts{}
	}
	c.Before[name], c.After[name] = before, after
}

func (c *changes) noteText(name, before, after string) { c.note(name, before, after, before == after) }

// tellDevice tells what has become of a device's record.
func (t *tx) tellDevice(before, after fleet.Device) {
	o := after.Key.ObjectOf()
	var c changes
	c.noteText("name", before.Name, after.Name)
	c.noteText("line", before.Line, after.Line)
	c.noteText("model_code", string(before.Model), string(after.Model))
	c.note("labels", before.Labels, after.Labels, slices.Equal(before.Labels, after.Labels))
	c.note("aliases", before.Aliases, after.Aliases, slices.Equal(before.Aliases, after.Aliases))
	if c.Before != nil {
		t.tell(event.DeviceChanged, o, c)
	}
	switch {
	case before.Pin == after.Pin:
	case after.Pin == "":
		t.tell(event.DeviceUnpinned, o, facts{"before": before.Pin})
	default:
		t.tell(event.DevicePinned, o, facts{"before": before.Pin, "after": after.Pin})
	}
	switch {
	case !before.Revoked && after.Revoked:
		t.tell(event.DeviceRevoked, o, nil)
	case before.Revoked && !after.Revoked:
		t.tell(event.DeviceWelcomed, o, nil)
	}
	t.tellConfig(o, before.Config, after.Config)
	t.tellProvisioning(o, before.Provisioning, after.Provisioning)
}

func (t *tx) tellAdded(d fleet.Device) {
	details := facts{"model": d.Model, "name": d.Name}
	if len(d.Aliases) > 0 {
		details["aliases"] = d.Aliases
	}
	t.tell(event.DeviceAdded, d.Key.ObjectOf(), details)
}

func (t *tx) tellConfig(o fleet.Object, before, after json.RawMessage) {
	if string(before) == string(after) {
		return
	}
	t.tell(event.ConfigChanged, o, facts{"before": event.Configuration(before), "after": event.Configuration(after)})
}

func (t *tx) tellProvisioning(o fleet.Object, before, after map[string]string) {
	if names := event.ChangedNames(before, after); len(names) > 0 {
		t.tell(event.ProvisioningChanged, o, facts{"names": names})
	}
}

// tellModel tells what has become of a model's record, a version that it offers now too.
func (t *tx) tellModel(before, after fleet.Model) {
	o := after.Code.ObjectOf()
	var c changes
	c.noteText("name", before.Name, after.Name)
	c.noteText("chip", before.Chip, after.Chip)
	c.noteText("project", before.Project, after.Project)
	if c.Before != nil {
		t.tell(event.ModelChanged, o, c)
	}
	t.tellConfig(o, before.Config, after.Config)
	t.tellProvisioning(o, before.Provisioning, after.Provisioning)
	if before.FirmwareVersion != after.FirmwareVersion {
		t.tell(event.BuildPublished, fleet.BuildObject(after.Code, after.FirmwareVersion), facts{"before": before.FirmwareVersion})
	}
}

// tellBuild tells that a build was recorded; before is nil where there was none of its version.
func (t *tx) tellBuild(before *fleet.Build, b fleet.Build, published bool) {
	o := fleet.BuildObject(b.Model, b.Version)
	if before != nil && before.Origin != fleet.Found {
		t.tell(event.BuildReplaced, o, facts{"before": before.ImageSHA256, "sha256": b.ImageSHA256, "origin": b.Origin, "published": published})
		return
	}
	t.tell(event.BuildAccepted, o, facts{"sha256": b.ImageSHA256, "origin": b.Origin, "published": published})
}

// tellGroup tells what people have decided about a group.
func (t *tx) tellGroup(before, after crash.Group) {
	o := groupObject(after)
	if was, is := before.Decision, after.Decision; was.State != is.State || was.ResolvedIn != is.ResolvedIn || was.Regressed != is.Regressed ||
		was.Until != is.Until || was.Reopened != is.Reopened {
		kind := map[crash.GroupState]fleet.EventKind{
			crash.Open: event.CrashReopened, crash.Ignored: event.CrashIgnored, crash.Resolved: event.CrashResolved,
		}[after.State]
		details := facts{"model": after.Model, "before": before.State}
		if after.ResolvedIn != "" {
			details["resolved_in"] = after.ResolvedIn
		}
		if until := after.Until.String(); until != "" {
			details["until"], details["after"] = after.Until, "ignored "+until
		}
		t.tell(kind, o, details)
	}
	if before.Note != after.Note {
		t.tell(event.CrashNoted, o, facts{"before": before.Note, "after": after.Note})
	}
	if before.Link != after.Link {
		t.tell(event.CrashNoted, o, facts{"before": before.Link, "after": after.Link, "link": true})
	}
}

// tellReopened tells of a group that is open again by itself.
func (t *tx) tellReopened(g crash.Group) {
	t.tell(event.CrashReopened, groupObject(g), facts{"model": g.Model, "before": crash.Ignored, "why": g.Reopened, "top_frame": g.TopFrame})
}

func groupObject(g crash.Group) fleet.Object { return fleet.Object{Type: "crash", ID: g.Fingerprint} }

// tellNews tells of a crash that somebody should look at.
func (t *tx) tellNews(g crash.Group, c crash.Crash, news crash.News) {
	kind := map[crash.News]fleet.EventKind{crash.New: event.CrashNew, crash.Regression: event.CrashRegressed}[news]
	if kind == "" {
		return
	}
	details := facts{"model": c.Model, "version": c.Version, "device": c.Device, "dump": c.Name, "reason": c.Reason, "top_frame": c.TopFrame}
	if news == crash.Regression {
		details["before"] = crash.Resolved
	}
	t.tell(kind, groupObject(g), details)
}

// tellSecrets tells that a device's secret was rotated: handed out, or used for the first time. A device that provisions
// itself again and again is told of once an hour.
func (t *tx) tellSecrets(key fleet.DeviceKey, before, after auth.DeviceSecrets) error {
	switch {
	case before.Path != after.Path && after.Path == "":
		t.tell(event.DevicePathSecretRevoked, key.ObjectOf(), nil)
	case before.Path != after.Path:
		t.tell(event.DevicePathSecretMade, key.ObjectOf(), facts{"replaced": before.Path != ""})
	}
	switch {
	case before.Current != after.Current:
		return t.tellPaced(paced{Topic: "secret_used", Kind: event.DeviceSecretRotated, Details: facts{"step": "used for the first time, and the old one is forgotten"}}, key)
	case before.Next != after.Next:
		return t.tellPaced(paced{Topic: "secret_handed_out", Kind: event.DeviceSecretRotated, Details: facts{"step": "handed out"}}, key)
	}
	return nil
}

func tokenObject(o auth.OperatorToken) fleet.Object { return fleet.Object{Type: "token", ID: o.ID} }

// tellGone tells of a dump that goes: by itself, or because a person wants it. One that is not on record is no news.
func (t *tx) tellGone(key fleet.DeviceKey, name fleet.DumpName) error {
	there, err := t.has(dumpKey(key, name))
	if err != nil || !there {
		return err
	}
	if t.by.Actor.Type != fleet.Person {
		t.by = event.Itself
		return t.tellPaced(paced{Topic: "dump_rotated", Kind: event.DumpRotated}, key)
	}
	t.tell(event.DumpRemoved, dumpObject(key, name), nil)
	return nil
}

func dumpObject(key fleet.DeviceKey, name fleet.DumpName) fleet.Object {
	return fleet.Object{Type: "dump", ID: string(key) + "/" + string(name)}
}
