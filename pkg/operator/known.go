package operator

import (
	"errors"
	"net/http"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A list that is empty because its filter names something that was never seen looks like good news. Where nothing is
// found on the first page, the names are looked up, and one that nobody knows is an error with the nearest known one.

// knownModel says whether a model's code was ever seen.
func (d *door) knownModel(code fleet.ModelCode) error {
	if code == "" {
		return nil
	}
	_, err := d.Records.Model(code)
	return d.nearModel(string(code), err)
}

// nearModel adds the nearest known model to the news that there is none of that code.
func (d *door) nearModel(code string, err error) error {
	if !errors.Is(err, fleet.ErrUnknown) && !errors.Is(err, fleet.ErrRefused) {
		return err
	}
	models, failed := d.Records.Models()
	if failed != nil {
		return failed
	}
	codes := make([]fleet.ModelCode, len(models))
	for i, m := range models {
		codes[i] = m.Code
	}
	return near(err, code, codes)
}

// knownDevice says whether a device's key was ever seen.
func (d *door) knownDevice(key fleet.DeviceKey) error {
	if key == "" {
		return nil
	}
	_, err := d.Records.Device(key)
	return d.nearDevice(string(key), err)
}

// nearDevice adds the nearest known device to the news that there is none of that key.
func (d *door) nearDevice(key string, err error) error {
	if !errors.Is(err, fleet.ErrUnknown) && !errors.Is(err, fleet.ErrRefused) {
		return err
	}
	return near(err, key, d.Sightings.Devices(fleet.DeviceFilter{}))
}

// nearCrash adds the nearest known group to the news that there is none of that fingerprint.
func (d *door) nearCrash(fingerprint string, err error) error {
	if !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	addresses, failed := d.Crashes.CrashAddresses()
	if failed != nil {
		return failed
	}
	return near(err, fingerprint, addresses)
}

// knownVersion says whether a version is a build's, or one in which something crashed.
func (d *door) knownVersion(v fleet.Version) error {
	if v == "" {
		return nil
	}
	models, err := d.Records.Models()
	if err != nil {
		return err
	}
	var versions []fleet.Version
	for _, m := range models {
		builds, err := d.Records.Builds(m.Code)
		if err != nil {
			return err
		}
		for _, b := range builds {
			versions = append(versions, b.Version)
		}
	}
	crashed, err := d.Crashes.CrashVersions()
	if err != nil {
		return err
	}
	versions = append(versions, crashed...)
	if slices.Contains(versions, v) {
		return nil
	}
	return near(fleet.Unknown("no build has the version %q", string(v)), string(v), versions)
}

// knownWords says whether some device was seen to run the version, stands on the line and has the label of a filter.
func (d *door) knownWords(f fleet.DeviceFilter) error {
	versions, lines, labels := d.Sightings.Known()
	for _, named := range []struct {
		word, what string
		known      []string
	}{{f.Version, "no device runs the version", versions}, {f.Line, "no device stands on the line", lines}, {f.Label, "no device has the label", labels}} {
		if named.word != "" && !slices.Contains(named.known, named.word) {
			return near(fleet.Unknown("%s %q", named.what, named.word), named.word, named.known)
		}
	}
	return nil
}

// near adds the nearest known word to an error about another.
func near[W ~string](err error, word string, known []W) error {
	nearest := fleet.Nearest(word, known)
	var e *fleet.Error
	if nearest == "" || !errors.As(err, &e) {
		return err
	}
	return &fleet.Error{Kind: e.Kind, Reason: e.Reason + "; the nearest known one is \"" + string(nearest) + "\""}
}

// modelFilter reads ?model=.
func (d *door) modelFilter(r *http.Request) (fleet.ModelCode, error) {
	given := r.URL.Query().Get("model")
	if given == "" {
		return "", nil
	}
	code, err := fleet.ParseModelCode(given)
	return code, d.nearModel(given, err)
}
