package endpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// What net/http refuses before there is a request (400, 431, 501, 505) it answers by writing
//
//	HTTP/1.1 400 Bad Request: malformed Host header \r\n Content-Type: … \r\n Connection: close \r\n\r\n text
//
// straight to the connection, in one call: text, and no Content-Length, on which devices wait for more. No answer of a
// handler begins like that: net/http puts Content-Length or Date into each.
var refusalHeader = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// inOurWords is the answer in place of net/http's own refusal; nil when p is none.
func inOurWords(p []byte) []byte {
	const protocol = "HTTP/1.1 "
	if !bytes.HasPrefix(p, []byte(protocol)) {
		return nil
	}
	line, rest, _ := bytes.Cut(p[len(protocol):], []byte("\r\n"))
	if !bytes.HasPrefix(rest, refusalHeader[2:]) {
		return nil
	}
	number, words, _ := strings.Cut(string(line), " ")
	status, err := strconv.Atoi(number)
	if err != nil || status < http.StatusBadRequest {
		return nil
	}
	_, reason, ok := strings.Cut(words, ": ")
	if !ok {
		reason = strings.ToLower(words)
	}
	code := strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
	return []byte(refusal(status, code, reason))
}

// refusal is a whole answer, after which the connection is closed.
func refusal(status int, code, message string) string {
	body, err := json.Marshal(errorBody{Error: message, Code: code, Details: map[string]any{}, CorrelationID: newCorrelation()})
	if err != nil { // of strings: it does not happen
		body = []byte(`{"error":"","code":"","details":{},"correlationId":""}`)
	}
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}
