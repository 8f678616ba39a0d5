// Package wstest is the server's side of a WebSocket, for tests: it sends frames as they are told, right or wrong.
package wstest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A Conn is the server's end of a connection.
type Conn struct {
	tb testing.TB
	net.Conn
	reader *bufio.Reader
	// Request is the handshake.
	Request *http.Request
}

// Serve starts a server that accepts realtime.v1 and plays; its address begins with ws://.
func Serve(tb testing.TB, play func(*Conn)) string {
	tb.Helper()
	return Handle(tb, func(w http.ResponseWriter, r *http.Request) {
		conn := Accept(tb, w, r, "realtime.v1")
		defer conn.Close()
		play(conn)
	})
}

// Handle starts a server with this handler; its address begins with ws://.
func Handle(tb testing.TB, handler http.HandlerFunc) string {
	tb.Helper()
	var playing sync.WaitGroup // the server itself does not wait for connections that it has given away
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		playing.Add(1)
		defer playing.Done()
		handler(w, r)
	}))
	tb.Cleanup(func() {
		server.Close()
		playing.Wait()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/responses"
}

// Accept answers a handshake.
func Accept(tb testing.TB, w http.ResponseWriter, r *http.Request, subprotocol string) *Conn {
	digest := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	header := w.Header()
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(digest[:]))
	if subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		tb.Error(err)
		panic(http.ErrAbortHandler)
	}
	return &Conn{tb, conn, buffer.Reader, r}
}

// Frame sends one frame: first is its first byte, with FIN and opcode.
func (c *Conn) Frame(first byte, payload string) {
	frame := []byte{first}
	if len(payload) < 126 {
		frame = append(frame, byte(len(payload)))
	} else {
		frame = append(frame, 126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	}
	_, _ = c.Write(append(frame, payload...))
}

// Send sends a text message.
func (c *Conn) Send(text string) { c.Frame(0x81, text) }

// Next returns the next frame of the client, with its mask taken off; false at the end.
func (c *Conn) Next() (first byte, payload string, ok bool) {
	var head [2]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return 0, "", false
	}
	size := int(head[1] & 0x7f)
	if size >= 126 {
		long := make([]byte, map[int]int{126: 2, 127: 8}[size])
		_, _ = io.ReadFull(c.reader, long)
		size = 0
		for _, b := range long {
			size = size<<8 | int(b)
		}
	}
	if head[1]&0x80 == 0 {
		c.tb.Error("the client's frame has no mask")
	}
	data := make([]byte, size+4)
	if _, err := io.ReadFull(c.reader, data); err != nil {
		return 0, "", false
	}
	for i := range size {
		data[4+i] ^= data[i&3]
	}
	return head[0], string(data[4:]), true
}

// Expect returns the client's next message of this type; other messages and pings before it are passed over.
func (c *Conn) Expect(kind string) map[string]any {
	for {
		first, payload, ok := c.Next()
		if !ok {
			return nil
		}
		if first == 0x89 {
			c.Frame(0x8a, payload)
			continue
		}
		var message map[string]any
		if first == 0x81 && json.Unmarshal([]byte(payload), &message) == nil && message["type"] == kind {
			return message
		}
	}
}
