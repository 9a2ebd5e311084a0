package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

//go:embed static
var staticFiles embed.FS

// static is a file that every page may ask for, signed in or not.
type static struct {
	body   []byte
	packed func() []byte // gzip; nil where it gains nothing
	kind   string
	hash   string // hex of SHA-256
}

// statics are read and packed when they are first asked for: the decode worker and the commands are the same program.
var statics struct {
	once sync.Once
	all  map[string]static
}

func staticsRead() map[string]static {
	statics.once.Do(func() { statics.all = readStatics() })
	return statics.all
}

func readStatics() map[string]static {
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err)
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	all := map[string]static{}
	for _, e := range entries {
		kind := kinds[path.Ext(e.Name())]
		if kind == "" {
			continue // a licence: the page shows it
		}
		body, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		all[e.Name()] = static{body: body, packed: sync.OnceValue(func() []byte { return pack(body) }), kind: kind, hash: hex.EncodeToString(sum[:])}
	}
	return all
}

func pack(body []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil || b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

func takesGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

// packers are kept: each has a megabyte.
var packers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // of the level
	}
	return z
}}

// packFast packs what is made for one answer; nil where it gains nothing.
func packFast(body []byte) []byte {
	z := packers.Get().(*gzip.Writer) // nothing else is in there
	defer packers.Put(z)
	var b bytes.Buffer
	z.Reset(&b)
	_, err := z.Write(body)
	if err := errors.Join(err, z.Close()); err != nil || b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// asset is the address of a file, another one for each content: browsers keep it.
func asset(name string) string { return "/static/" + name + "?v=" + staticsRead()[name].hash[:8] }

func (p *Page) registerStatic(rs *endpoint.Routes) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		rs.Register(endpoint.Route{Method: method, Pattern: "/static/{name}"}, nil, func(w http.ResponseWriter, r *http.Request) error {
			return sendStatic(w, r, r.PathValue("name"))
		})
		rs.Register(endpoint.Route{Method: method, Pattern: "/favicon.ico"}, nil, func(w http.ResponseWriter, r *http.Request) error {
			return sendStatic(w, r, "favicon.svg")
		})
	}
}

func sendStatic(w http.ResponseWriter, r *http.Request, name string) error {
	s, known := staticsRead()[name]
	if !known {
		return endpoint.Errorf(http.StatusNotFound, "unknown_path", "there is nothing at this address")
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == s.hash[:8] {
		h.Set("Cache-Control", "max-age=31536000")
	}
	h.Set("Etag", `"`+s.hash[:16]+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == h.Get("Etag") {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", s.kind)
	if takesGzip(r) {
		if packed := s.packed(); packed != nil {
			h.Set("Content-Encoding", "gzip")
			return endpoint.Write(w, http.StatusOK, packed)
		}
	}
	return endpoint.Write(w, http.StatusOK, s.body)
}

// Library is a script of others that is in the binary as it was published.
type Library struct {
	Name, Version, Licence string // the licence as SPDX names it
	Files                  []File
}

// File is one of a library's, below static/.
type File struct{ Name, SHA256 string }

// Libraries are all of them; packages name them in their bill of materials.
var Libraries = []Library{
	{"uplot", "1.6.32", "MIT", []File{
		{"uplot.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"},
		{"uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"},
	}},
}

// licence is a library with its licence's text.
type licence struct {
	Library
	Text string
}

func (p *Page) licences(*visit) (shown, error) {
	var all []licence
	for _, l := range Libraries {
		text, err := staticFiles.ReadFile("static/" + strings.TrimSuffix(l.Files[0].Name, ".js") + ".LICENSE")
		if err != nil {
			return shown{}, err
		}
		all = append(all, licence{l, string(text)})
	}
	return shown{"Licences", all}, nil
}
