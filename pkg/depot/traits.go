package depot

import (
	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Traits are what a build's files say about how an update to it can be watched.
func (d *Depot) Traits(code fleet.ModelCode, v fleet.Version) (t fleet.Traits, err error) {
	settings, err := d.settings(code, v)
	if err != nil {
		return t, err
	}
	image, err := d.OpenImage(fleet.Model{Code: code}, v)
	if err != nil {
		return t, err
	}
	defer image.File.Close()
	parsed, err := readImage(image.File, image.Size)
	if err != nil {
		return t, err
	}
	return fleet.Traits{
		SecureVersion: parsed.App.SecureVersion, Rollback: settings.Rollback, Dumps: settings.Dumps, Halts: settings.Halts, Unsaid: settings.Made,
	}, nil
}

func (d *Depot) settings(code fleet.ModelCode, v fleet.Version) (bundle.Settings, error) {
	f, err := d.OpenBundle(code, v)
	if err != nil {
		return bundle.Settings{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return bundle.Settings{}, err
	}
	limits := bundle.DefaultLimits
	limits.Whole = info.Size()
	a, err := bundle.Open(f, info.Size(), string(code), limits)
	if err != nil {
		return bundle.Settings{}, err
	}
	return a.Settings()
}
