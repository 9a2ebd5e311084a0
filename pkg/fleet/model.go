package fleet

import (
	"encoding/json"
	"fmt"
	"time"
)

// Model is a hardware type and the firmware that its devices are offered.
type Model struct {
	Code            ModelCode         `json:"code"`
	Name            string            `json:"name,omitempty"`
	Chip            string            `json:"chip,omitempty"`             // pinned by the first build, such as "ESP32-C3"
	Project         string            `json:"project,omitempty"`          // pinned by the first build
	FirmwareVersion Version           `json:"firmware_version,omitempty"` // published last; "" until something is
	ImageSHA256     string            `json:"image_sha256,omitempty"`     // of a plain image that is published; a bundle's is its build's
	Sums                              // of that plain image
	Config          json.RawMessage   `json:"config,omitempty"` // default configuration, with placeholders
	Provisioning    map[string]string `json:"provisioning,omitempty"`
	CreatedAt       time.Time         `json:"created_at"`
	UpdatedAt       time.Time         `json:"updated_at"`
}

// NoSymbols says that no core dump of the published version can be read, and how to mend that; "" where they can. A plain image
// comes without its ELF.
func (m Model) NoSymbols() string {
	if m.FirmwareVersion == "" || m.ImageSHA256 == "" {
		return ""
	}
	return fmt.Sprintf("version %s of model %s came as a plain image, without its ELF: no core dump of it can be read. "+
		"Hand in the bundle or the ELF of the same build: slipway firmware add FILE --model %s", m.FirmwareVersion, m.Code, m.Code)
}
