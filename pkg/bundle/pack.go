package bundle

import (
	"archive/zip"
	"bytes"
	"io"
)

// Contents are the bytes of the five files.
type Contents struct {
	Image, ELF, Map, Settings, Versions []byte
}

// Parts are the five files to be read.
type Parts struct {
	Image, ELF, Map, Settings, Versions io.Reader
}

// Pack writes a bundle for the model with the code, as PackFrom does.
func Pack(w io.Writer, code string, c Contents) error {
	return PackFrom(w, code, Parts{
		bytes.NewReader(c.Image), bytes.NewReader(c.ELF), bytes.NewReader(c.Map), bytes.NewReader(c.Settings), bytes.NewReader(c.Versions),
	})
}

// PackFrom writes a bundle for the model with the code. The same contents always make the same bytes.
func PackFrom(w io.Writer, code string, p Parts) error {
	z := zip.NewWriter(w)
	for _, f := range []struct {
		name string
		data io.Reader
	}{
		{code + ".bin", p.Image}, {code + ".elf", p.ELF}, {code + ".map", p.Map},
		{settingsName, p.Settings}, {versionsName, p.Versions},
	} {
		e, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := io.Copy(e, f.data); err != nil {
			return err
		}
	}
	return z.Close()
}
