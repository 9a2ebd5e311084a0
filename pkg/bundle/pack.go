package bundle

import (
	"archive/zip"
	"io"
)

// Contents are the bytes of the five files.
type Contents struct {
	Image, ELF, Map, Settings, Versions []byte
}

// Pack writes a bundle for the model with the code. The same contents always make the same bytes. The gateway only reads
// bundles: this is for tools and tests that have to make one.
func Pack(w io.Writer, code string, c Contents) error {
	z := zip.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{code + ".bin", c.Image}, {code + ".elf", c.ELF}, {code + ".map", c.Map},
		{settingsName, c.Settings}, {versionsName, c.Versions},
	} {
		e, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := e.Write(f.data); err != nil {
			return err
		}
	}
	return z.Close()
}
