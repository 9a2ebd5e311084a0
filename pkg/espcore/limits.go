package espcore

const (
	// mostIdentified is how many bytes Identify reads: the largest upload is 1 MiB, base64 and hex make it twice that.
	mostIdentified = 4 << 20
	// maxSegments bounds the memory areas of a dump. A hundred tasks and the whole heap take some thousand.
	maxSegments = 4096
	// maxTasks bounds the tasks. Real firmware has 10 to 40; a dump of 1 MiB would have room for 5,000 without stacks.
	maxTasks = 256
	// maxWraps bounds the files around a dump: a log in a gzip in a ZIP.
	maxWraps = 3
	// maxZipped bounds the files of a ZIP that are looked into.
	maxZipped = 64
	// mostInflated bounds what comes out of a packed file: the largest flash has 32 MiB. leastInflated and inflatedPerByte
	// bound it by the packed size: a whole flash of 4 MiB that is nearly empty is packed to some kilobytes.
	mostInflated    = 32 << 20
	leastInflated   = 4 << 20
	inflatedPerByte = 64
	// leastWork and workPerByte bound the bytes that all attempts to read something as a dump may look at.
	leastWork   = 64 << 20
	workPerByte = 32
	// maxGap bounds what a hexdump leaves out, as repeated lines or as missing ones: a partition has 64 KiB to 1 MiB.
	maxGap = 4 << 20
	// maxPrefix bounds the prefix of a log's line.
	maxPrefix = 256
	// maxJSONPaths bounds the places of a JSON document at which text is collected.
	maxJSONPaths = 32
	// maxWarnings bounds the warnings of a dump and of a report; nobody reads more.
	maxWarnings = 50
	// maxPanicText bounds the panic text. The watchdog's, the longest, takes some 40 bytes a task.
	maxPanicText = 4 << 10
	// maxWalked ends a walk over a stack: 128 KiB of frames of 32 bytes.
	maxWalked = 4096
	// mostInnermost and mostOutermost are how many frames of a long stack are kept, not counting inlined ones. A stack
	// of 6 KiB with frames of 32 bytes is still whole; of a recursion that filled a larger one a person wants where it
	// ended and how it began.
	mostInnermost = 128
	mostOutermost = 64
	// maxSteps bounds the steps of all walks of one report, those that lead nowhere included. A real report takes
	// some hundred; a step costs microseconds, in a hostile ELF up to a tenth of a millisecond.
	maxSteps = 20_000
	// maxScanned bounds the stack words that one search for a return address looks at. ROM functions use little stack:
	// printf, the deepest, some 500 bytes.
	maxScanned = 1024
	// maxNameLength bounds a task's name. ESP-IDF's default is 16; the setting has no upper bound.
	maxNameLength = 64
)
