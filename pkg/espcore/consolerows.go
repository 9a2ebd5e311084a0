package espcore

import "bytes"

// rowsOf splits the lines into prefix and base64.
func rowsOf(text []byte, url bool) []row {
	var rows []row
	eachLine(text, func(number int, line []byte) {
		switch {
		case bytes.Contains(line, consoleStart):
			rows = append(rows, row{number: number, mark: startMark})
			return
		case bytes.Contains(line, consoleEnd):
			rows = append(rows, row{number: number, mark: endMark})
			return
		}
		line = trimBehind(line)
		start := len(line)
		for start > 0 && (isBase64(line[start-1], url) || line[start-1] == '=') {
			start--
		}
		if url {
			line = toStandard(line, start)
		}
		rows = append(rows, row{number: number, line: line, body: line[start:], shape: shapeOf(line[:start])})
	})
	return withoutNames(rows)
}

// trimBehind takes off the quotes and commas of a line that somebody made a string of, and its line end in words.
func trimBehind(line []byte) []byte {
	for {
		was := len(line)
		line = bytes.TrimRight(line, " \t\"',;|)]}>")
		for _, end := range []string{`\n`, `\r`, `\`, "<br", "</p", "</td"} {
			line = bytes.TrimSuffix(line, []byte(end))
		}
		if len(line) == was {
			return line
		}
	}
}

func isBase64(b byte, url bool) bool {
	switch {
	case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b >= '0' && b <= '9':
		return true
	case url:
		return b == '-' || b == '_'
	}
	return b == '+' || b == '/'
}

// toStandard turns the letters of base64url into those of base64.
func toStandard(line []byte, start int) []byte {
	out := bytes.Clone(line)
	for i := start; i < len(out); i++ {
		switch out[i] {
		case '-':
			out[i] = '+'
		case '_':
			out[i] = '/'
		}
	}
	return out
}

// withoutNames moves a name that all lines have, as in message=…, from the base64 into the prefix.
func withoutNames(rows []row) []row {
	var name []byte
	full := 0
	for i := range rows {
		body := rows[i].body
		if len(body) < leastDamaged {
			continue
		}
		if full == 0 {
			name = body[:min(len(body), maxPrefix)]
		}
		full++
		same := 0
		for same < min(len(name), len(body)) && name[same] == body[same] {
			same++
		}
		name = name[:same]
	}
	cut := bytes.LastIndexByte(name, '=') + 1
	if full < 3 || cut == 0 || cut == len(name) && bytes.Count(name, []byte("=")) == len(name) {
		return rows
	}
	for i := range rows {
		if r := &rows[i]; bytes.HasPrefix(r.body, name[:cut]) {
			r.body = r.body[cut:]
			r.shape = shapeOf(r.line[:len(r.line)-len(r.body)])
		}
	}
	return rows
}

// commonShape is the shape of the prefix behind which most of the base64 stands.
func commonShape(rows []row) string {
	weights := map[string]int{}
	best := ""
	for _, r := range rows {
		if r.mark != noMark || len(r.body) == 0 {
			continue
		}
		weight := 1
		if len(r.body) >= 2*leastDamaged {
			weight = len(r.body)
		}
		weights[r.shape] += weight
	}
	for _, r := range rows { // in the order of the text, so that the answer is always the same
		if weights[r.shape] > weights[best] {
			best = r.shape
		}
	}
	return best
}
