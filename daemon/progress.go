package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// progress tells a terminal how far an upload is; a pipe is told nothing.
type progress struct {
	r       io.ReadCloser
	w       io.Writer
	size    int64 // bytes, -1 when unknown
	done    int64
	started time.Time
	told    time.Time
	width   int
}

// progressEvery is how often it tells: oftener nobody reads.
const progressEvery = 200 * time.Millisecond

// withProgress tells on standard error, so that what is printed stays what it is.
func withProgress(cmd *cobra.Command, file io.ReadCloser, size int64) io.ReadCloser {
	width := terminalWidth(cmd.ErrOrStderr())
	if width == 0 {
		return file
	}
	return &progress{r: file, w: cmd.ErrOrStderr(), size: size, started: time.Now(), width: width}
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		p.tell(now)
	}
	return n, err
}

// Close ends the line, so that the answer begins at its own.
func (p *progress) Close() error {
	if !p.told.IsZero() {
		p.tell(time.Now())
		fmt.Fprintln(p.w)
	}
	return p.r.Close()
}

func (p *progress) tell(now time.Time) {
	const clear = "\r\x1b[K"
	fmt.Fprint(p.w, clear+cutTo(p.text(now), p.width-1))
}

// text is such as "1.2 MiB of 3.4 MiB, 35 %, 800 KiB/s".
func (p *progress) text(now time.Time) string {
	text := bytesText(p.done)
	if p.size > 0 {
		text += fmt.Sprintf(" of %s, %d %%", bytesText(p.size), 100*p.done/p.size)
	}
	if took := now.Sub(p.started).Seconds(); took > 0 {
		text += fmt.Sprintf(", %s/s", bytesText(int64(float64(p.done)/took)))
	}
	return text
}
