package espcore

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first needed: every command and the gateway itself would pay
// for what few dumps ask for.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
