// Command flood logs more than the queue holds to a journal that nobody reads; the test builds it with the journal's socket
// elsewhere.
package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/slipway-gateway/slipway/pkg/systemd"
)

func main() {
	queue := systemd.NewQueue()
	log := slog.New(queue.Journal(slog.LevelInfo))
	for i := range 10_000 {
		log.Info("line", "number", i)
	}
	fmt.Println("some dropped:", queue.Dropped() > 0, "all written:", queue.Close(50*time.Millisecond))
}
