package page

import (
	"context"
	"fmt"
	"net/url"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// drops are the dropped files that were rejected. Both acts are told of before the file goes.
type drops interface {
	Rejected() ([]fleet.Drop, error) // by name
	Retry(ctx context.Context, name string) error
	Dismiss(ctx context.Context, name string) error
}

// wants says which firmware dumps wait for.
type wants interface {
	Wanted() ([]crash.Wanted, error)
}

// dropView is what came, what was refused, and what is wanted.
type dropView struct {
	Folder   string // "" where there is none
	Rejected []droppedRow
	Wanted   []crash.Wanted
	Came     []eventRow
	Upload   uploadPart
	Refused  *refusal // of the upload that was just sent
}

// droppedRow is a rejected file, with the address of what is done about it.
type droppedRow struct {
	fleet.Drop
	Address string
}

// came are the kinds of events that tell of what was handed in.
var came = []fleet.EventKind{
	event.BuildAccepted, event.BuildReplaced, event.BuildRejected, event.DropRejected, event.DropRetried, event.DropDismissed,
}

func (p *Page) drop(*visit) (shown, error) {
	view, err := p.showDrop()
	return shown{"Inbox", view}, err
}

func (p *Page) showDrop() (view dropView, err error) {
	status, err := p.Gateway.Status()
	if err != nil {
		return view, err
	}
	view.Folder = status.DropFolder
	rejected, err := p.Drops.Rejected()
	if err != nil {
		return view, err
	}
	for _, d := range rejected {
		view.Rejected = append(view.Rejected, droppedRow{d, "/drop/" + url.PathEscape(d.Name)})
	}
	if view.Wanted, err = p.Crashes.Wanted(); err != nil {
		return view, err
	}
	models, err := p.Records.Models()
	if err != nil {
		return view, err
	}
	view.Upload = uploadPart{Models: models, To: "/drop", Publishes: fmt.Sprintf("It goes to the model that it names, and is published as builds of that model are (firmware.publish: %s).", p.publishSetting())}
	view.Came, err = p.whatCame()
	return view, err
}

// whatCame is what was handed in, by whatever way, the newest first.
func (p *Page) whatCame() ([]eventRow, error) {
	newest, err := p.Events.Events(event.Filter{Limit: 1})
	if err != nil {
		return nil, err
	}
	f := event.Filter{Before: newest.Head.Seq + 1, Limit: shownRows}
	for _, kind := range came {
		f.Kinds = append(f.Kinds, string(kind))
	}
	page, err := p.Events.Events(f)
	rows := make([]eventRow, len(page.Events))
	for i, e := range page.Events {
		rows[i] = eventRow{e.Event, tell(e.Event), whoOf(e.Event), whereOf(e.Object)}
	}
	return rows, err
}

// rejectedFile is the one that an address names.
func (p *Page) rejectedFile(v *visit) (fleet.Drop, error) {
	all, err := p.Drops.Rejected()
	if err != nil {
		return fleet.Drop{}, err
	}
	name := v.r.PathValue("name")
	for _, d := range all {
		if d.Name == name {
			return d, nil
		}
	}
	return fleet.Drop{}, fleet.Unknown("no rejected file is named %q: it was taken again, or removed", name)
}

func (p *Page) retryDrop(v *visit) (done, error) {
	d, err := p.rejectedFile(v)
	if err != nil {
		return done{}, err
	}
	return done{To: "/drop", Said: said{
		d.Name + " lies in the drop folder again: below stands what becomes of it.", "if it is refused once more, dismiss it.", "slipway drop retry " + quoted(d.Name),
	}}, p.Drops.Retry(v.r.Context(), d.Name)
}

// makeModelOfDrop makes the model that a rejected file lacks, and has the file taken again.
func (p *Page) makeModelOfDrop(v *visit) (done, error) {
	d, err := p.rejectedFile(v)
	if err != nil {
		return done{}, err
	}
	if d.Lacks == "" {
		return done{}, fleet.Refused("%s was not refused for want of a model: %s", d.Name, d.Reason)
	}
	now := p.Now().UTC()
	if err := p.Changes.AddModel(v.r.Context(), fleet.Model{Code: d.Lacks, CreatedAt: now, UpdatedAt: now}); err != nil {
		return done{}, err
	}
	if err := p.Drops.Retry(v.r.Context(), d.Name); err != nil {
		return done{}, err
	}
	return done{To: "/drop", Said: said{
		fmt.Sprintf("Model %s is made, and %s lies in the drop folder again: below stands what becomes of it.", d.Lacks, d.Name),
		fmt.Sprintf("while it has neither builds nor devices: slipway model rm %s.", d.Lacks), fmt.Sprintf("slipway model add %s && slipway drop retry %s", d.Lacks, quoted(d.Name)),
	}}, nil
}

func (p *Page) dismissDrop(v *visit) (done, error) {
	d, err := p.rejectedFile(v)
	if err != nil {
		return done{}, err
	}
	return done{To: "/drop", Said: said{
		d.Name + " is removed, and the reason beside it. It can be dropped again.", "", "slipway drop dismiss " + quoted(d.Name),
	}}, p.Drops.Dismiss(v.r.Context(), d.Name)
}
