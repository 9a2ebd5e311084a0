package espcore

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// textsOfJSON collects the strings of a JSON document, or of one document a line as containers' logs are, that stand at the
// same place: an array of lines is one text, and so is the same field of all documents. The longest comes first.
func textsOfJSON(text []byte) [][]byte {
	byPath := collect(text)
	var out [][]byte
	for _, c := range byPath {
		if len(c.text) > 0 {
			out = append(out, c.text)
		}
	}
	slices.SortStableFunc(out, func(a, b []byte) int { return len(b) - len(a) })
	return out[:min(len(out), 4)]
}

// fromJSON collects arrays of bytes as numbers.
func fromJSON(text []byte) [][]byte {
	var out [][]byte
	for _, c := range collect(text) {
		if len(c.bytes) >= elfHeader {
			out = append(out, c.bytes)
		}
	}
	return out
}

// collected is what stands at one place of a document.
type collected struct {
	path  string
	text  []byte
	bytes []byte
}

func collect(text []byte) []*collected {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || !strings.ContainsRune(`{["`, rune(text[0])) {
		return nil
	}
	in := json.NewDecoder(bytes.NewReader(text))
	var all []*collected
	var names []string // the names that lead to where we are; "" of an array
	at := func() *collected {
		path := strings.Join(names[:min(len(names), 8)], "/")
		for _, c := range all {
			if c.path == path {
				return c
			}
		}
		if len(all) == maxJSONPaths {
			return nil
		}
		all = append(all, &collected{path: path})
		return all[len(all)-1]
	}
	isName := []bool{false} // whether the next string is a name
	for {
		token, err := in.Token()
		var syntax *json.SyntaxError
		if err != nil {
			if errors.As(err, &syntax) && len(all) == 0 {
				return nil
			}
			return all // what is cut off is read up to there
		}
		depth := len(isName) - 1
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				isName = append(isName, v == '{')
				names = append(names, "")
			default:
				isName = isName[:depth]
				names = names[:len(names)-1]
				depth--
				if len(names) > 0 && names[len(names)-1] != "" {
					isName[depth] = true
				}
			}
			continue
		case string:
			if isName[depth] {
				names[len(names)-1] = "." + v[:min(len(v), maxNameLength)]
				isName[depth] = false
				continue
			}
			if c := at(); c != nil {
				c.text = append(append(c.text, v...), '\n')
			}
		case float64:
			if c := at(); c != nil && v >= -128 && v <= 255 {
				c.bytes = append(c.bytes, byte(int(v)))
			}
		}
		if len(names) > 0 && names[len(names)-1] != "" {
			isName[depth] = true
		}
	}
}
