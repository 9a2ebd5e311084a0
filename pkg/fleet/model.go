package fleet

import (
	"encoding/json"
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
