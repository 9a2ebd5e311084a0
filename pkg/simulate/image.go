package simulate

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// versionOf is the version in an image's app descriptor: behind the image's and the first segment's header, 24 and 8 bytes,
// lies 0xABCD5432, and 16 bytes on the version, 32 bytes of text (ESP-IDF, esp_app_desc_t).
func versionOf(begin []byte) (string, error) {
	const descriptor, version, end = 32, 48, 80
	if len(begin) < end || !bytes.Equal(begin[descriptor:descriptor+4], []byte{0x32, 0x54, 0xcd, 0xab}) {
		return "", errors.New("what came as firmware has no app descriptor")
	}
	text, _, _ := bytes.Cut(begin[version:end], []byte{0})
	return string(text), nil
}

// image takes in an image block by block.
type image struct {
	known   []string // versions that end it after the first block
	version string
	got     int64
	sum     []byte
}

// read takes size bytes from r; it ends early in the first block of a version that is known.
func (m *image) read(r io.Reader, size int64) (enough bool, err error) {
	first, hash := make([]byte, min(size, block)), md5.New()
	if _, err := io.ReadFull(r, first); err != nil {
		return false, fmt.Errorf("an image broke off in its first block: %w", err)
	}
	if m.version, err = versionOf(first); err != nil || slices.Contains(m.known, m.version) {
		return true, err
	}
	_, _ = hash.Write(first) // never fails
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, io.LimitReader(r, size-int64(len(first))), make([]byte, block))
	if m.got = int64(len(first)) + n; err == nil && m.got != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return false, fmt.Errorf("an image broke off after %d of %d bytes: %w", m.got, size, err)
	}
	m.sum = hash.Sum(nil)
	return false, nil
}

// firmware asks for an image in one answer, and hangs up when it is one that the device knows.
func (c *conn) firmware(r *request) (answer, Request, error) {
	resp, err := c.ask(r, r.method) //nolint:bodyclose // closing it would read the rest; the connection is closed
	if err != nil {
		return answer{}, Check, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return answer{}, Check, nil
	default:
		return answer{}, Check, refused(resp)
	}
	return c.take(r, resp.Body, resp.ContentLength)
}

func (c *conn) take(r *request, from io.Reader, size int64) (answer, Request, error) {
	m := image{known: r.known}
	enough, err := m.read(from, size)
	if enough || err != nil && m.version == "" {
		return answer{version: m.version}, Check, err
	}
	return answer{version: m.version, image: hex.EncodeToString(m.sum), whole: err == nil}, Download, err
}

// pieces asks for an image as esp_https_ota does with partial downloads.
func (c *conn) pieces(r *request) (answer, Request, error) {
	resp, err := c.ask(r, http.MethodHead) //nolint:bodyclose // it has none
	if err != nil {
		return answer{}, Check, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, Check, refused(resp)
	}
	return c.take(r, &ranges{conn: c, request: r, size: resp.ContentLength}, resp.ContentLength)
}

// ranges reads an image piece by piece. The last piece is asked for without its end.
type ranges struct {
	conn     *conn
	request  *request
	at, size int64
	body     io.Reader
	left     int64 // of the piece
}

func (r *ranges) Read(p []byte) (int, error) {
	if r.at == r.size {
		return 0, io.EOF
	}
	if r.left == 0 {
		if err := r.ask(); err != nil {
			return 0, err
		}
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.at, r.left = r.at+int64(n), r.left-int64(n)
	if errors.Is(err, io.EOF) && r.left == 0 {
		err = nil
	}
	return n, err
}

func (r *ranges) ask() error {
	to := strconv.FormatInt(r.at+piece-1, 10)
	if r.at+piece >= r.size {
		to = ""
	}
	wanted := [2]string{"Range", "bytes=" + strconv.FormatInt(r.at, 10) + "-" + to}
	resp, err := r.conn.ask(r.request, http.MethodGet, wanted) //nolint:bodyclose // as above
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusPartialContent {
		return refused(resp)
	}
	if want := min(piece, r.size-r.at); resp.ContentLength != want {
		return fmt.Errorf("a range of %d bytes was answered with %d", want, resp.ContentLength)
	}
	r.body, r.left = resp.Body, resp.ContentLength
	return nil
}

// refused is an answer that was not planned.
func refused(resp *http.Response) error {
	b, _ := body(resp) // whatever of it there is
	const most = 200   // bytes of it that help
	return fmt.Errorf("answered %s: %q", resp.Status, bytes.TrimSpace(b[:min(len(b), most)]))
}
