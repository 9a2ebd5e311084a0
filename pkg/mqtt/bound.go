package mqtt

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Bounds of what a broker may send, in bytes behind a packet's length.
const (
	mostPacket = mostPayload + 1<<10 // of a message: what is read of one, and a topic and its number
	mostAnswer = 2 + 3               // of everything else: paho panics where a SUBACK grants more than the three topics
	swallowed  = 1 << 20             // of a message that is passed over, before paho hears that the broker is there
)

// The types of packets that are known here.
const (
	publish  = 3
	pingresp = 13
)

// boundedConn is the connection to the broker. paho makes room for a packet once it has read its length, which may say 256 MiB.
// One message of that size that a broker has kept, and sends after each connect, must cost neither that memory nor the
// messages behind it: it is passed over. A packet begins so (MQTT 3.1.1, 2.2):
//
//	1 byte        its type in the upper four bits, flags in the lower
//	1 to 4 bytes  the length of what follows: seven bits in each, the lowest first; the top bit says that one more comes
type boundedConn struct {
	net.Conn
	in      *bufio.Reader
	head    []byte // what paho reads next
	left    int    // what it reads after that, of the packet that goes on
	swallow int    // what it never reads of one
}

// open connects as the settings say.
func open(broker *url.URL, o paho.ClientOptions) (conn net.Conn, err error) {
	if broker.Scheme == "mqtts" {
		conn, err = tls.DialWithDialer(o.Dialer, "tcp", broker.Host, o.TLSConfig)
	} else {
		conn, err = o.Dialer.Dial("tcp", broker.Host)
	}
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn, in: bufio.NewReader(conn)}, nil
}

func (b *boundedConn) Read(p []byte) (n int, err error) {
	for len(b.head) == 0 && b.left == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	if len(b.head) > 0 {
		n = copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	n, err = b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// next goes to the next packet, or on with one that is passed over. On a slow line that takes longer than paho waits for the
// answer to its ping, which comes behind it: bytes that come are as good an answer.
func (b *boundedConn) next() error {
	if b.swallow > 0 {
		n, err := b.in.Discard(min(b.swallow, swallowed))
		b.swallow -= n
		b.head = []byte{pingresp << 4, 0}
		return err
	}
	head, length, err := b.header()
	if err != nil {
		return err
	}
	switch kind := head[0] >> 4; {
	case kind == publish && length > mostPacket:
		b.swallow = length
	case kind != publish && length > mostAnswer:
		return fmt.Errorf("the broker sends a packet of type %d with %d bytes", kind, length)
	default:
		b.head, b.left = head, length
	}
	return nil
}

// header reads a packet's first bytes, and the length that they say.
func (b *boundedConn) header() (head []byte, length int, err error) {
	for shift := -7; shift <= 21; shift += 7 {
		c, err := b.in.ReadByte()
		if err != nil {
			return nil, 0, err
		}
		head = append(head, c)
		if shift < 0 {
			continue
		}
		if length |= int(c&0x7f) << shift; c&0x80 == 0 {
			return head, length, nil
		}
	}
	return nil, 0, fmt.Errorf("the broker sends a packet whose length has more than four bytes: % x", head)
}
