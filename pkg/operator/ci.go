package operator

import (
	"crypto/sha256"
	_ "embed" // the upload scripts
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

//go:embed scripts/upload.sh
var uploadSh string

//go:embed scripts/upload.ps1
var uploadPs1 string

// CILines are what a CI job runs to push a build: two lines, so that a script that never came fails the job. A pipe into
// a shell would be green with nothing pushed.
func CILines(baseURL string, ownCA bool) []string {
	fetch, run := "curl -fsS ", ""
	if ownCA {
		fetch, run = "curl -fsS --cacert ca.crt ", "SLIPWAY_CA=ca.crt "
	}
	return []string{
		fetch + baseURL + "/api/pipeline/upload.sh -o upload.sh",
		run + "SLIPWAY_TOKEN=… sh upload.sh MODEL_CODE [PROJECT_FOLDER]",
	}
}

// ownCA reports that callers of the address that they are told have to know the gateway's own CA.
func (d *door) ownCA() bool {
	ca, err := d.Gateway.CA()
	return err == nil && ca != nil && strings.HasPrefix(d.Gateway.BaseURL(), "https:")
}

// Fingerprint is the SHA-256 of a PEM certificate as openssl x509 -fingerprint prints it, "" where there is none.
func Fingerprint(certificate []byte) string {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// ca hands out the gateway's own CA. Whoever fetches it trusts nobody yet, and compares its fingerprint.
func (d *door) ca(w http.ResponseWriter, _ *http.Request) error {
	ca, err := d.Gateway.CA()
	if err != nil {
		return err
	}
	if ca == nil {
		return fleet.Unknown("this gateway shows the certificate of its settings (tls.cert): it has no CA of its own")
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "no-cache")
	return endpoint.Write(w, http.StatusOK, ca)
}

const aboutCASh = `# ca.crt is the gateway's own CA. Once, by hand: curl -fsSk @BASE_URL@/ca.crt -o ca.crt
# and compare what openssl x509 -in ca.crt -noout -fingerprint -sha256 prints with what slipway status prints on the
# gateway (without openssl: sed '/^-/d' ca.crt | base64 -d | sha256sum). Then keep it with the project.`

const aboutCAPs1 = `# The gateway has a CA of its own. Once, on the machine that runs the jobs: curl.exe -fsSk @BASE_URL@/ca.crt -o ca.crt
# and compare with what slipway status prints on the gateway
#   $der = (New-Object Security.Cryptography.X509Certificates.X509Certificate2 (Convert-Path ca.crt)).RawData
#   [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($der)) -replace '-', ':'
# Then Import-Certificate ca.crt -CertStoreLocation Cert:\LocalMachine\Root`

const aboutNoCA = `# The gateway shows a certificate that needs no CA of its own, or is called without TLS.`

// script hands out an upload script that calls this gateway. Its address comes from the settings: what a request says
// of itself never gets into a script.
func (d *door) script(text, aboutCA string) endpoint.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		own, about := d.ownCA(), aboutCA
		if !own {
			about = aboutNoCA
		}
		lines := "#   " + strings.Join(CILines(d.Gateway.BaseURL(), own), "\n#   ")
		filled := strings.NewReplacer("@LINES@", lines, "@ABOUT_CA@", strings.ReplaceAll(about, "@BASE_URL@", d.Gateway.BaseURL()), "@BASE_URL@", d.Gateway.BaseURL()).Replace(text)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return endpoint.Write(w, http.StatusOK, []byte(filled))
	}
}
