package operator

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerPipeline(rs *endpoint.Routes) {
	rs.Register(endpoint.Route{
		Method: http.MethodPost, Pattern: "/api/pipeline/models/{code}/firmware", Operation: "pipeline_upload_firmware", Query: endpoint.Query{"replace", "version", "publish"},
	}, d.needPipeline, seen(d.uploadFirmware))
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/api/pipeline/models/{code}/firmware-version", Query: none}, d.needPipeline, seen(d.firmwareVersion))
	rs.Handle(http.MethodGet, "/api/pipeline/upload.sh", "", d.script(uploadSh, aboutCASh))
	rs.Handle(http.MethodGet, "/api/pipeline/upload.ps1", "", d.script(uploadPs1, aboutCAPs1))
}

// uploadFirmware takes a bundle or a plain image, raw or as the first part with a file name. What it starts with
// decides, not what it is called.
func (d *door) uploadFirmware(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	replace, err := truthOf(r, "replace")
	if err != nil {
		return err
	}
	publish, err := truthOf(r, "publish")
	if err != nil {
		return err
	}
	var version fleet.Version
	if named := r.URL.Query().Get("version"); named != "" {
		if version, err = fleet.ParseVersion(named); err != nil {
			return err
		}
	}
	body, size, err := firmwareBody(r)
	if err != nil {
		return err
	}
	head := bufio.NewReaderSize(body, 4096)
	if start, err := head.Peek(4); err == nil && string(start) == "PK\x03\x04" {
		d.Counter.Name(w, "pipeline_upload_firmware_zip")
	}
	accepted, err := Models{d}.Upload(r.Context(), fleet.Submission{
		Model: m.Code, Version: version, Body: head, Size: size, Origin: fleet.FromAPI, Replace: replace,
		Store: !publish && r.URL.Query().Has("publish"),
	})
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowAccepted(accepted))
}

func firmwareBody(r *http.Request) (io.Reader, int64, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		if r.ContentLength == 0 {
			return nil, 0, fleet.Refused("the upload is empty")
		}
		return r.Body, r.ContentLength, nil
	}
	parts := multipart.NewReader(r.Body, parameters["boundary"])
	for range 64 { // a form has a few fields
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, fleet.Refused("the form cannot be read: %v", err)
		}
		if part.FileName() != "" {
			return part, -1, nil
		}
	}
	return nil, 0, fleet.Refused("the form has no part with a file name")
}

func (d *door) firmwareVersion(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ModelVersion{Code: m.Code, Version: api.Optional(m.FirmwareVersion)})
}
