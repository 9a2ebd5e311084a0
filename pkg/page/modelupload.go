package page

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// An upload's form has its fields before its file: the file is handed on as it comes, and nothing of it is kept in memory.
const (
	mostParts = 16  // fields of the form, and then some
	mostField = 512 // bytes of one
)

// uploadForm is what stands before the file.
type uploadForm struct {
	file    *multipart.Part
	name    string          // of the file
	model   fleet.ModelCode // "": the file names it
	version fleet.Version
	replace bool
	store   bool
	wants   string // the hash that its ELF should have
	to      string // where the person came from, "" for the model's view
}

// uploadPart is the form as a view shows it.
type uploadPart struct {
	Code      fleet.ModelCode // "": the file names it, or a person chooses it
	Models    []fleet.Model   // to choose from then
	Publishes string          // what becomes of a build that is uploaded, in words; "": it is stored only
	To        string          // where the person is led then, "" for the model's view
	Wants     string          // the hash that its ELF is to have, "" for any
}

// Action is where the form is sent.
func (u uploadPart) Action() string {
	if u.Code == "" {
		return "/drop/upload"
	}
	return modelAddress(u.Code) + "/upload"
}

func readUpload(r *http.Request) (f uploadForm, err error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return f, fleet.Refused("the form has no file: %v", err)
	}
	for range mostParts {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, fleet.Refused("the form cannot be read: %v", err)
		}
		if part.FormName() == "file" {
			f.file, f.name = part, part.FileName()
			if f.name == "" {
				return f, fleet.Refused("choose a file: a bundle (.zip), a plain image (.bin), or the ELF of the image that is offered")
			}
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, mostField))
		if err != nil {
			return f, fleet.Refused("the form cannot be read: %v", err)
		}
		if err := f.set(part.FormName(), strings.TrimSpace(string(value))); err != nil {
			return f, err
		}
	}
	return f, fleet.Refused("the form has no file: its fields come before it, and they are few")
}

func (f *uploadForm) set(field, value string) (err error) {
	switch field {
	case "model":
		if value != "" {
			f.model, err = fleet.ParseModelCode(value)
		}
	case "version":
		if value != "" {
			f.version, err = fleet.ParseVersion(value)
		}
	case "replace":
		f.replace = value == "true"
	case "then":
		f.store = value == "store"
	case "wants":
		f.wants = value
	case "to":
		f.to = local(value)
	}
	return err
}

// title is the file's name where that is one that people give.
func (f uploadForm) title() string {
	if len(f.name) > mostBrief || strings.ContainsFunc(f.name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return "FILE"
	}
	return f.name
}

// line is the command that does the same.
func (f uploadForm) line() string {
	line := "slipway firmware add " + quoted(f.title())
	if f.model != "" {
		line += " --model " + string(f.model)
	}
	if f.version != "" {
		line += " --version " + string(f.version)
	}
	if f.replace {
		line += " --replace"
	}
	if f.store {
		line += " --store"
	}
	return line
}

// uploadFirmware takes a firmware of the model that the address names.
func (p *Page) uploadFirmware(v *visit) (done, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return done{}, err
	}
	return p.takeUpload(v, m.Code, func(why refusal) (done, error) {
		view, err := p.showModel(m)
		view.Refused = &why
		return done{View: "model", Shows: shown{"Refused – " + view.Title(), view}}, err
	})
}

// uploadDrop takes one of any model: a bundle says of which, and of all else a person does.
func (p *Page) uploadDrop(v *visit) (done, error) {
	return p.takeUpload(v, "", func(why refusal) (done, error) {
		view, err := p.showDrop()
		view.Refused = &why
		return done{View: "drop", Shows: shown{"Refused – Inbox", view}}, err
	})
}

// takeUpload takes a bundle, a plain image or an ELF, and says in words what became of it: where the person is led to, or in the
// view that shows a refusal. With the model "" the form or the bundle names it.
func (p *Page) takeUpload(v *visit, code fleet.ModelCode, refused func(refusal) (done, error)) (done, error) {
	f, err := readUpload(v.r)
	if err != nil {
		return refusedUpload(f, err, refused)
	}
	f.model = cmp.Or(code, f.model)
	before, err := p.Records.Models()
	if err != nil {
		return done{}, err
	}
	accepted, err := p.Models.Upload(v.r.Context(), fleet.Submission{
		Model: f.model, File: f.title(), Version: f.version, Body: f.file, Size: -1, Origin: fleet.FromAPI, Replace: f.replace, Store: f.store,
	})
	if err != nil {
		return refusedUpload(f, err, refused)
	}
	m := fleet.Model{Code: accepted.Build.Model}
	if at := slices.IndexFunc(before, func(one fleet.Model) bool { return one.Code == m.Code }); at >= 0 {
		m = before[at]
	}
	return done{To: cmp.Or(f.to, modelAddress(m.Code)), Said: p.verdict(m, f, accepted)}, nil
}

// refusedUpload shows the reason, and how to mend it. What is no refusal is an error as ever.
func refusedUpload(f uploadForm, err error, refused func(refusal) (done, error)) (done, error) {
	var e *fleet.Error
	if !errors.As(err, &e) || !errors.Is(err, fleet.ErrRefused) && !errors.Is(err, fleet.ErrTaken) {
		return done{}, err
	}
	helps, lacks := fleet.Mending(e.Reason)
	why := refusal{File: f.name, Why: e.Reason, Lacks: lacks, Mend: "Nothing was stored, and devices are offered what they were. Taken are bundles (ZIPs of the code's .bin, .elf and .map with sdkconfig and version.json, as upload.sh makes them), images, and the ELF of an image: mend what is named, and upload it again."}
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, fleet.ErrTaken):
		status = http.StatusConflict
		why.Mend = "Nothing was stored. Raise the version, build and upload that; or tick “Replace the build of the same version” and upload this one again: devices may be in the middle of the other."
	case lacks != "":
		why.Mend = "Nothing was stored. Make the model and upload the file there; if its code is a typing error, build it once more under the right one."
	case f.file != nil && f.model == "":
		why.Mend = "Nothing was stored. " + helps
	}
	d, err := refused(why)
	d.Status = status
	return d, err
}

// verdict says what has become of a firmware that was taken.
func (p *Page) verdict(m fleet.Model, f uploadForm, a fleet.Accepted) said {
	b := a.Build
	name := string(b.Model) + " " + string(b.Version)
	s := said{Line: f.line(), Undo: "remove the build."}
	switch {
	case !a.Changed && a.Published:
		s.Text, s.Undo = name+" is here already, byte for byte, and devices are offered it: nothing changed.", ""
	case !a.Changed:
		s.Text, s.Undo = name+" is here already, byte for byte: nothing changed. It is not published; its own page does that.", ""
	case a.Published && m.FirmwareVersion == b.Version:
		s.Text, s.Undo = name+" is accepted, and devices are offered it.", ""
	case a.Published:
		s.Text = fmt.Sprintf("%s is accepted and published: %s offered it now.", name, plural(p.offered(m), "device is", "devices are"))
		s.Undo = "there was none before: publish another build."
		if m.FirmwareVersion != "" {
			s.Undo = fmt.Sprintf("publish %s again.", m.FirmwareVersion)
		}
	case f.store:
		s.Text = name + " is stored, and not published. Core dumps that waited for it are decoded now."
	default:
		s.Text = name + " is stored. " + p.waits(b)
	}
	if f.wants != "" && !strings.HasPrefix(b.ELFSHA256, f.wants) {
		s.Text += fmt.Sprintf(" But its ELF has the SHA-256 %.16s…, and the dump waits for %s….", b.ELFSHA256, f.wants)
	}
	if len(a.Warnings) > 0 {
		s.Text += " But " + strings.Join(a.Warnings, "; ") + "."
	}
	if most := mostSaid / 2; len(s.Text) > most { // of what a cookie carries
		s.Text = strings.ToValidUTF8(s.Text[:most], "") + "…"
	}
	return s
}

// waits says what a build waits for that was not published by coming in.
func (p *Page) waits(b fleet.Build) string {
	r, err := p.Rollouts.Rollout(b.Model, 0)
	switch {
	case err == nil && r.State.Unfinished() && r.Version == b.Version:
		return fmt.Sprintf("Rollout %d brings it to devices in waves; it is named below.", r.Number)
	case err == nil && r.State.Unfinished():
		return fmt.Sprintf("Devices are not offered it: rollout %d of %s is under way, and has to end first.", r.Number, r.Version)
	}
	return "Devices are not offered it until somebody publishes it: its own page does that."
}

// offered is how many devices are offered what their model has published: all but those that are revoked or pinned.
func (p *Page) offered(m fleet.Model) int {
	all := p.Sightings.Facets(fleet.DeviceFilter{Model: m.Code})
	n := all.Total - all.Revoked
	pins, err := p.Stock.Pins(m.Code)
	if err != nil {
		return n
	}
	for _, keys := range pins {
		for _, key := range keys {
			if d, err := p.Records.Device(key); err == nil && !d.Revoked {
				n--
			}
		}
	}
	return max(n, 0)
}

func buildAddress(code fleet.ModelCode, v fleet.Version) string {
	return modelAddress(code) + "/builds/" + url.PathEscape(string(v))
}
