package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// login is what `slipway login` notes of a gateway elsewhere, in a file that its owner alone can read.
type login struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	CA    string `json:"ca,omitempty"` // PEM; "" is the system's
}

// loginFile lies in $XDG_CONFIG_HOME/slipway, else in ~/.config/slipway.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "slipway", "login.json"), nil
}

// readLogin is the noted login, the zero one where there is none.
func readLogin() (login, error) {
	file, err := loginFile()
	if err != nil { // a service has no home, and nobody has logged in there
		return login{}, nil //nolint:nilerr // see above
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return login{}, nil
	}
	var noted login
	if err == nil {
		err = json.Unmarshal(text, &noted)
	}
	if err != nil {
		return login{}, fmt.Errorf("read what login noted in %s: %w (slipway logout removes it)", file, err)
	}
	return noted, nil
}

func (l login) write() error {
	file, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(file, append(text, '\n'), 0o600)
}

// loginCommand is `slipway login`.
func loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Note a gateway elsewhere and a token for it, for the commands that follow",
		Long: "Note the address of a gateway and a token that it knows, so that the commands that follow ask that gateway instead of one\n" +
			"on this machine. The token is asked for, or read from standard input or $SLIPWAY_TOKEN. The gateway's certificate must be\n" +
			"by a CA that this machine trusts, the one of --ca, or one whose fingerprint you confirm: on the gateway, 'slipway status'\n" +
			"prints it. What is noted lies in ~/.config/slipway/login.json, which only you can read; 'slipway logout' removes it.",
		Example: "  slipway login https://gateway.plant:8443\n" +
			"  slipway login https://gateway.plant:8443 --ca ca.crt < token\n" +
			"  slipway login https://gateway.plant:8443 --fingerprint 3A:91:…:0C",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	fingerprint := cmd.Flags().String("fingerprint", "", "the SHA-256 of the gateway's CA, as 'slipway status' on the gateway prints it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		base, err := baseURL(args[0])
		if err != nil {
			return err
		}
		l := login{URL: base}
		if l.CA, err = loginCA(cmd, base, *fingerprint); err != nil {
			return err
		}
		if l.Token, err = loginToken(cmd); err != nil {
			return err
		}
		answer, err := l.caller(cmd.Context())
		if err != nil {
			return err
		}
		if err := l.write(); err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, who api.Caller) {
			fmt.Fprintf(w, "commands now ask %s, as %s with the role %s; slipway logout ends that\n", base, cmp.Or(who.Name, "a token without a name"), who.Role)
		})
	}
	return cmd
}

// loginCA is the CA that the gateway's certificate is to be verified with, PEM; "" is the system's.
func loginCA(cmd *cobra.Command, base, fingerprint string) (string, error) {
	if file := caOf(cmd); file != "" {
		if _, err := readCA(file); err != nil {
			return "", err
		}
		text, err := os.ReadFile(file)
		return string(text), err
	}
	if !strings.HasPrefix(base, "https:") {
		return "", nil
	}
	var unknown x509.UnknownAuthorityError
	answer, err := fetchCA(cmd.Context(), base, nil)
	switch {
	case err == nil && fingerprint == "":
		return "", nil // the system trusts it
	case err != nil && !errors.As(err, &unknown):
		return "", (&client{reach: reach{base: base}}).unreachable(err)
	case err != nil:
		if answer, err = fetchCA(cmd.Context(), base, &tls.Config{InsecureSkipVerify: true}); err != nil { //nolint:gosec // nothing is believed of it: whoever asks compares the fingerprint
			return "", err
		}
	}
	block, _ := pem.Decode(answer)
	if block == nil {
		return "", fmt.Errorf("%s/ca.crt holds no certificate: give the CA with --ca", base)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("%s/ca.crt: %w", base, err)
	}
	text := pemOf(ca)
	return string(text), confirmCA(cmd, base, operator.Fingerprint(text), fingerprint)
}

// confirmCA has a person, or a script's --fingerprint, say that the CA is the gateway's.
func confirmCA(cmd *cobra.Command, base, is, said string) error {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
	switch {
	case said != "" && plain(said) == plain(is):
		return nil
	case said != "":
		return fmt.Errorf("the CA of %s has another fingerprint, %s: nothing was noted, and no token sent", base, is)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the certificate of %s is by a CA that this machine does not know, with the fingerprint\n  %s\n'slipway status' on the gateway prints it too.\n", base, is)
	if in, ok := cmd.InOrStdin().(*os.File); !ok || !term.IsTerminal(int(in.Fd())) {
		return usagef("nobody can answer here: give --ca with the gateway's CA, or --fingerprint")
	}
	return ask(cmd.InOrStdin(), cmd.ErrOrStderr(), "Is it the same?")
}

// fetchCA reads /ca.crt, which anybody may read.
func fetchCA(ctx context.Context, base string, with *tls.Config) ([]byte, error) {
	const most = 64 << 10 // bytes of a certificate
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ca.crt", nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: with, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, most))
}

// loginToken is the token, from where it is seen by nobody.
func loginToken(cmd *cobra.Command) (string, error) {
	given, _ := cmd.Flags().GetString(tokenFlag)
	if given = cmp.Or(given, os.Getenv(tokenEnv)); given != "" {
		return given, nil
	}
	var line string
	var err error
	if in, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		line, err = askHidden(cmd, "token: ")
	} else {
		const most = 4 << 10 // bytes of a token's line
		line, err = bufio.NewReader(io.LimitReader(cmd.InOrStdin(), most)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return "", err
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usagef("no token was given: an admin makes one with 'slipway token create', or on the page")
	}
	return line, nil
}

// caller asks the gateway for whom it takes the holder of the token.
func (l login) caller(ctx context.Context) (json.RawMessage, error) {
	r := reach{base: l.URL, token: l.Token}
	if l.CA != "" {
		roots, err := rootsOf([]byte(l.CA))
		if err != nil {
			return nil, err
		}
		r.roots = roots
	}
	return newClient(r).get(ctx, path("caller"))
}

// logoutCommand is `slipway logout`.
func logoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget the gateway and the token that login noted",
		Long: "Forget the gateway and the token that 'slipway login' noted: the commands that follow ask the gateway on this machine.\n" +
			"The token stays good; 'slipway token revoke' ends it.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := loginFile()
		if err != nil {
			return err
		}
		noted, err := readLogin()
		if err == nil && noted.URL == "" {
			return errors.New("no gateway is noted")
		}
		if err := os.Remove(file); err != nil { // also one that cannot be read
			return err
		}
		answer, err := json.Marshal(map[string]string{"url": noted.URL})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, was struct{ URL string }) {
			fmt.Fprintf(w, "forgotten: %s\n", cmp.Or(was.URL, "what login had noted"))
		})
	}
	return cmd
}
