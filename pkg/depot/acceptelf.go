package depot

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// acceptELF takes the ELF of the plain image that a model is offered, which names it by its hash: of the two the bundle is made
// that did not come. From then on the image is a build, and dumps of it can be read.
func (d *Depot) acceptELF(ctx context.Context, s fleet.Submission, elf *durable.Landing, sum string) (fleet.Accepted, error) {
	if s.Model == "" {
		return fleet.Accepted{}, fleet.Refused("an ELF does not name its model, so push it to its model")
	}
	m, err := d.options.Recorder.Model(s.Model)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if m.NoSymbols() == "" {
		return fleet.Accepted{}, fleet.Refused("an ELF is taken for a plain image only, and model %s is offered none: send the bundle; 'slipway decode CORE ELF' reads one dump with it, without the gateway", s.Model)
	}
	flat, err := os.Open(d.flatPath(s.Model))
	if err != nil {
		return fleet.Accepted{}, err
	}
	defer flat.Close()
	info, err := flat.Stat()
	if err != nil {
		return fleet.Accepted{}, err
	}
	image, err := readImage(flat, info.Size())
	if err != nil {
		return fleet.Accepted{}, err
	}
	if image.App.ELFSHA256 != sum {
		return fleet.Accepted{}, fleet.Refused("the image of version %s of model %s was not made from this ELF: it names one with the SHA-256 %s, and this one has %s",
			m.FirmwareVersion, s.Model, image.App.ELFSHA256, sum)
	}
	zip, size, zipSum, err := d.pack(m, image, flat, elf.File())
	if err != nil {
		return fleet.Accepted{}, err
	}
	defer zip.Drop()
	s.Version = m.FirmwareVersion
	return d.acceptBundle(ctx, s, zip, size, zipSum)
}

// pack makes the bundle of an image and its ELF. What nobody has brought says so.
func (d *Depot) pack(m fleet.Model, image *espimage.Image, flat, elf *os.File) (t *durable.Landing, size int64, sum string, err error) {
	versions, err := json.Marshal(map[string]string{
		"git_commit": "unknown", "idf_version": image.App.IDFVersion, "firmware_version": string(m.FirmwareVersion),
	})
	if err != nil {
		return nil, 0, "", err
	}
	if _, err := elf.Seek(0, io.SeekStart); err != nil {
		return nil, 0, "", err
	}
	if t, err = durable.Begin(d.options.Dir, fileMode); err != nil {
		return nil, 0, "", err
	}
	_, err = flat.Seek(0, io.SeekStart)
	if err == nil {
		err = bundle.PackFrom(t, string(m.Code), bundle.Parts{
			Image: flat, ELF: elf, Map: strings.NewReader("the image came without its map\n"),
			Settings: strings.NewReader(bundle.MadeSettings(image.ChipID.Target())), Versions: strings.NewReader(string(versions)),
		})
	}
	if err == nil {
		size, err = t.File().Seek(0, io.SeekEnd)
	}
	if err == nil {
		sum, err = hashFile(t.File(), size)
	}
	if err != nil {
		t.Drop()
		return nil, 0, "", err
	}
	return t, size, sum, nil
}
