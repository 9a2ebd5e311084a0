package mqtt

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// hostile is a broker that takes whoever comes, grants what it is told to, and then sends what it is told to.
func hostile(t *testing.T, grants func(connection int) []byte, send func(net.Conn)) (address string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = new(atomic.Int64)
	serve := func(conn net.Conn) {
		defer conn.Close()
		n := int(connections.Add(1))
		write := func(b []byte) { _, _ = conn.Write(b) } // the client may have gone
		for {
			packet, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			switch packet := packet.(type) {
			case *packets.ConnectPacket:
				write([]byte{packets.Connack << 4, 2, 0, 0})
			case *packets.SubscribePacket:
				granted := grants(n)
				write(append([]byte{packets.Suback << 4, byte(2 + len(granted)), byte(packet.MessageID >> 8), byte(packet.MessageID)}, granted...))
				send(conn)
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String(), connections
}

func all(int) []byte { return []byte{0, 0, 0} }

// message is a packet that says of itself that it has so many bytes, without its payload.
func message(topic string, length int) []byte {
	head := binary.AppendUvarint([]byte{packets.Publish<<4 | 1}, uint64(length)) // MQTT's length is one
	return append(binary.BigEndian.AppendUint16(head, uint16(len(topic))), topic...)
}

func TestAMessageOfAnySizeCostsNoMemoryAndHidesNoneBehindIt(t *testing.T) {
	const most = 1<<28 - 1 // bytes, what four bytes can say
	const topic = "plant/0x0242ac110001/configuration"
	sent := make(chan struct{})
	address, connections := hostile(t, all, func(conn net.Conn) {
		_, _ = conn.Write(message(topic, most))
		block := make([]byte, 1<<20)
		for left := most - 2 - len(topic); left > 0; left -= min(left, len(block)) {
			if _, err := conn.Write(block[:min(left, len(block))]); err != nil {
				t.Error(err)
				return
			}
		}
		payload := configuration("Press 1", "1.0")
		_, _ = conn.Write(append(message(topic, 2+len(topic)+len(payload)), payload...))
		close(sent)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := listen(t, Options{URL: "mqtt://" + address})
	if s := r.next(t); s.Device != "aaaaaaa1" || s.Said.Version != "1.0" {
		t.Errorf("%+v", s)
	}
	<-sent
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

func TestAMessageThatTheBrokerHasKeptAndIsTooLongKeepsNothingFromBeingHeard(t *testing.T) {
	for name, secured := range map[string]bool{"without TLS": false, "with TLS": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			identity, file, _ := identity(t, dir)
			var server *tls.Config
			o, scheme := Options{}, "mqtt://"
			if secured {
				scheme, o.CA = "mqtts://", file
				server = &tls.Config{Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS12}
			}
			b := startBroker(t, "127.0.0.1:0", server)
			b.say(t, "plant/0x0242ac110001/configuration", strings.Repeat("x", mostPacket), true)
			b.say(t, "plant/0x0242ac110002/configuration", configuration("Saw", "1.0"), true)
			o.URL = scheme + b.address
			r := listen(t, o)
			if s := r.next(t); s.Device != "aaaaaaa2" {
				t.Errorf("%+v", s)
			}
			r.subscribed(t, b)
			b.say(t, "plant/0x0242ac110002/state", `{"online":true}`, false)
			if s := r.next(t); s.Device != "aaaaaaa2" || s.Kept {
				t.Errorf("%+v", s)
			}
			if n := atomic.LoadInt64(&b.Info.ClientsMaximum); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestAnAnswerLongerThanWhatWasAskedEndsTheConnection and not the gateway: paho panics on a SUBACK that grants more.
func TestAnAnswerLongerThanWhatWasAskedEndsTheConnection(t *testing.T) {
	address, connections := hostile(t, func(int) []byte { return make([]byte, 100) }, func(net.Conn) {})
	listen(t, Options{URL: "mqtt://" + address})
	until(t, "another connection", func() bool { return connections.Load() > 1 })
}

func TestALengthWithoutAnEndIsAnError(t *testing.T) {
	b := &boundedConn{in: bufio.NewReader(bytes.NewReader([]byte{packets.Publish << 4, 0xff, 0xff, 0xff, 0xff, 1}))}
	if n, err := b.Read(make([]byte, 10)); n != 0 || err == nil || !strings.Contains(err.Error(), "four bytes") {
		t.Errorf("%d, %v", n, err)
	}
}

func TestWhileAMessageIsPassedOverTheBrokerIsThere(t *testing.T) {
	const length = 3*swallowed + 1
	packet := append(message("x", length), make([]byte, length-3)...)
	b := &boundedConn{in: bufio.NewReader(io.MultiReader(bytes.NewReader(packet), strings.NewReader("\xd0\x00")))}
	got, err := io.ReadAll(b)
	if want := strings.Repeat("\xd0\x00", 4+1); string(got) != want || err != nil {
		t.Errorf("% x, %v, want % x", got, err, want)
	}
}

func TestWhatABrokerDoesNotGrantIsTroubleUntilItDoes(t *testing.T) {
	var allowed atomic.Bool
	address, _ := hostile(t, func(int) []byte {
		if allowed.Load() {
			return all(0)
		}
		return []byte{0x80, 0x80, 0x80}
	}, func(net.Conn) {})
	r := listen(t, Options{URL: "mqtt://" + address})
	until(t, "the trouble", func() bool {
		got := r.Trouble()
		return strings.Contains(got, "does not grant the subscription of homeassistant/+/+/+/config, plant/+/configuration, plant/+/state")
	})
	allowed.Store(true)
	until(t, "its end", func() bool { return r.Trouble() == "" })
}

func FuzzBound(f *testing.F) {
	f.Add([]byte{packets.Connack << 4, 2, 0, 0, packets.Pingresp << 4, 0})
	f.Add(append(message("plant/x/state", 20), "12345"...))
	f.Add([]byte{packets.Publish << 4, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3})
	f.Add([]byte{packets.Suback << 4, 6, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		b := &boundedConn{in: bufio.NewReader(bytes.NewReader(stream))}
		passed, _ := io.ReadAll(b) // most of what a fuzzer sends is of no broker
		for len(passed) > 1 {      // each packet that paho sees the length of is within its bound
			length, n := binary.Uvarint(passed[1:])
			if most := map[bool]uint64{true: mostPacket, false: mostAnswer}[passed[0]>>4 == publish]; n <= 0 || length > most {
				t.Fatalf("a packet of %d bytes: % x", length, passed[:min(len(passed), 5)])
			}
			passed = passed[min(len(passed), 1+n+int(length)):]
		}
	})
}

func TestABrokerThatComesAndGoesIsOneTroubleInTheSameWords(t *testing.T) {
	var lines bytes.Buffer
	now := time.Now()
	b, err := New(Options{URL: "mqtt://127.0.0.1:1", Prefix: "plant", Logger: slog.New(slog.NewTextHandler(&lines, nil)), Now: func() time.Time { return now }, Devices: &memory{}})
	if err != nil {
		t.Fatal(err)
	}
	b.lost(errors.New("refused"))
	now = now.Add(connectPatience)
	first := b.Trouble()
	if !strings.Contains(first, "has not been reached since") {
		t.Fatalf("trouble %q", first)
	}
	for i := range 100 {
		b.lost(errors.New(strings.Repeat("another reason ", i)))
		b.connected(nil)
		now = now.Add(connectPatience / 2)
		if got := b.Trouble(); got != first {
			t.Fatalf("trouble %q, then %q", first, got)
		}
		b.lost(errors.New("read tcp 127.0.0.1:4000" + string(rune('0'+i%10)) + ": reset"))
		now = now.Add(connectPatience / 2)
		if got := b.Trouble(); got != first {
			t.Fatalf("trouble %q, then %q", first, got)
		}
	}
	b.connected(nil)
	now = now.Add(connectPatience)
	if got := b.Trouble(); got != "" {
		t.Errorf("it stands, and trouble is %q", got)
	}
	if got := strings.Count(lines.String(), "\n"); got != 2 { // not reached, reached
		t.Errorf("%d lines of the journal:\n%s", got, lines.String())
	}
}
