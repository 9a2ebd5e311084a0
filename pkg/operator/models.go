package operator

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerModels(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/device-models", d.listModels, listed()...)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/device-models", d.addModel)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/device-models/{code}", d.showModel)
	d.handle(rs, auth.Operator, http.MethodPatch, "/api/device-models/{code}", d.changeModel)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/device-models/{code}", d.removeModel)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		d.handle(rs, auth.Viewer, method, "/api/device-models/{code}/firmware", d.modelFirmware, "version", "format")
	}
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/device-models/{code}/builds", d.listBuilds, listed()...)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/builds", d.listAllBuilds, listed()...)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/device-models/{code}/builds/{version}/publish", d.publishBuild, "halt_first")
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/device-models/{code}/builds/{version}", d.showBuild)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/device-models/{code}/builds/{version}", d.removeBuild)
	d.handle(rs, auth.Operator, http.MethodPut, "/api/device-models/{code}/builds/{version}/note", d.noteBuild)
}

func (d *door) listModels(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	models, err := d.Records.Models()
	if err != nil {
		return err
	}
	page, next := pageOf(models, q, func(m fleet.Model) time.Time { return m.UpdatedAt }, func(m fleet.Model) string { return string(m.Code) })
	return endpoint.WriteJSON(w, http.StatusOK, api.Models{Models: showModels(page), Next: next})
}

func showModels(models []fleet.Model) []api.Model {
	shown := make([]api.Model, len(models))
	for i, m := range models {
		shown[i] = api.ShowModel(m)
	}
	return shown
}

func (d *door) addModel(w http.ResponseWriter, r *http.Request) error {
	var in api.NewModel
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	m, err := Models{d}.Add(r.Context(), in)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, api.ShowModel(m))
}

// model is the one that the address names.
func (d *door) model(r *http.Request) (fleet.Model, error) {
	code, err := modelOf(r)
	if err != nil {
		return fleet.Model{}, d.nearModel(r.PathValue("code"), err)
	}
	m, err := d.Records.Model(code)
	return m, d.nearModel(string(code), err)
}

func (d *door) showModel(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowModel(m))
}

func (d *door) changeModel(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	var in api.ModelChange
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	m, err := Models{d}.Change(r.Context(), code, in)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowModel(m))
}

func (d *door) removeModel(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	if err := d.Firmware.RemoveModel(r.Context(), code); err != nil {
		return err
	}
	return noContent(w)
}

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// modelFirmware is the image of the current version or of ?version=, its bundle with ?format=zip, or its ELF with ?format=elf.
func (d *door) modelFirmware(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	v := m.FirmwareVersion
	if asked := r.URL.Query().Get("version"); asked != "" {
		if v, err = fleet.ParseVersion(asked); err != nil {
			return err
		}
	}
	if v == "" {
		return fleet.Unknown("model %s has no firmware yet", m.Code)
	}
	switch format := r.URL.Query().Get("format"); format {
	case "", "bin":
		image, err := d.Firmware.OpenImage(m, v)
		if err != nil {
			return err
		}
		w.Header().Set("ETag", image.ETag)
		w.Header().Set("Cache-Control", "no-cache") // it may be kept, and is asked about each time
		w.Header().Set("X-Firmware-Version", string(image.Version))
		return sendFile(w, r, image.File, "application/octet-stream", string(m.Code)+"-"+string(image.Version)+".bin")
	case "elf":
		b, err := d.Records.Build(m.Code, v)
		if err != nil {
			return err
		}
		f, err := d.Firmware.OpenELF(r.Context(), b)
		if err != nil {
			return err
		}
		return sendFile(w, r, f, "application/octet-stream", string(m.Code)+"-"+string(v)+".elf")
	case "zip":
		f, err := d.Firmware.OpenBundle(m.Code, v)
		if err != nil {
			return err
		}
		return sendFile(w, r, f, "application/zip", string(m.Code)+"-"+string(v)+".zip")
	default:
		return fleet.Refused("format %q: want bin, zip or elf", format)
	}
}

func (d *door) listBuilds(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	builds, err := d.Records.Builds(m.Code)
	if err != nil {
		return err
	}
	page, next := pageOf(builds, q, acceptedAt, accepted)
	return endpoint.WriteJSON(w, http.StatusOK, api.Builds{Builds: api.List(page), Next: next, Version: api.Optional(m.FirmwareVersion), Plain: m.NoSymbols() != ""})
}

// accepted is a build's place among those of its model.
func accepted(b fleet.Build) string { return fmt.Sprintf("%020d", b.Sequence) }

func acceptedAt(b fleet.Build) time.Time { return b.AcceptedAt }

// listAllBuilds lists the builds of all models, those of one after those of the other. Its cursor is CODE/PLACE.
func (d *door) listAllBuilds(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	models, err := d.Records.Models()
	if err != nil {
		return err
	}
	from, after, _ := strings.Cut(q.after, "/")
	answer := api.AllBuilds{Builds: []fleet.Build{}, Versions: map[fleet.ModelCode]fleet.Version{}, Plain: []fleet.ModelCode{}}
	for _, m := range models {
		if string(m.Code) < from {
			continue
		}
		if string(m.Code) > from {
			after = ""
		}
		builds, err := d.Records.Builds(m.Code)
		if err != nil {
			return err
		}
		page, _ := pageOf(builds, listQuery{q.span, after, q.limit + 1 - len(answer.Builds)}, acceptedAt, accepted)
		answer.Builds = append(answer.Builds, page...)
		if m.FirmwareVersion != "" {
			answer.Versions[m.Code] = m.FirmwareVersion
		}
		if m.NoSymbols() != "" {
			answer.Plain = append(answer.Plain, m.Code)
		}
		if len(answer.Builds) > q.limit {
			break
		}
	}
	answer.Builds, answer.Next = cut(answer.Builds, q.limit, func(b fleet.Build) string { return string(b.Model) + "/" + accepted(b) })
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

func (d *door) publishBuild(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	v, err := versionOf(r)
	if err != nil {
		return err
	}
	haltFirst, err := haltFirstOf(w, r)
	if err != nil {
		return err
	}
	m, err := Models{d}.Publish(r.Context(), code, v, haltFirst)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowModel(m))
}

func (d *door) showBuild(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	v, err := versionOf(r)
	if err != nil {
		return err
	}
	b, err := d.Records.Build(m.Code, v)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, b)
}

func (d *door) removeBuild(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	v, err := versionOf(r)
	if err != nil {
		return err
	}
	if err := d.Firmware.Remove(r.Context(), code, v); err != nil {
		return err
	}
	return noContent(w)
}

// noteBuild takes {"note": "…"}; an empty one is removed.
func (d *door) noteBuild(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	v, err := versionOf(r)
	if err != nil {
		return err
	}
	var in api.BuildNote
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	b, err := d.Records.NoteBuild(r.Context(), code, v, in.Note)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, b)
}
