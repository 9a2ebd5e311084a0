package dumps

import (
	"encoding/json"
	"testing"
)

// FuzzReadSidecar: whatever lies in a sidecar, it is a dump or an error, and a dump survives being written again.
func FuzzReadSidecar(f *testing.F) {
	f.Add([]byte(`{"chip":"esp32","firmware_version":"1.0.0","device_key":"a1b2c3d4","model_code":"pump","uploaded_at":"2026-01-02T03:04:05.000006Z","size":1,"sha256":""}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"size":1e99}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ReadSidecar(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			return // a time that JSON cannot hold
		}
		if back, err := ReadSidecar(again); err != nil || !back.UploadedAt.Equal(d.UploadedAt) || back.Name() != d.Name() {
			t.Errorf("%s came back as %+v, %v", again, back, err)
		}
	})
}
