package fleet

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first needed: every start of the program would pay for it,
// and most commands ask for none.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
