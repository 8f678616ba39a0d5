package websocket_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"realtime/internal/wstest"
	"realtime/websocket"
)

func dial(t *testing.T, url string, options websocket.Options) *websocket.Conn {
	t.Helper()
	conn, err := websocket.Dial(context.Background(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(1000, "") })
	return conn
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("日本", 20_000)
	url := wstest.Serve(t, func(c *wstest.Conn) {
		c.Frame(0x01, "Hel") // a fragment
		c.Frame(0x89, "are you there?")
		c.Frame(0x80, "lo")
		if first, payload, _ := c.Next(); first != 0x8a || payload != "are you there?" {
			t.Errorf("pong: %#x %q", first, payload)
		}
		if _, payload, _ := c.Next(); payload != long {
			t.Errorf("%d bytes came, %d were sent", len(payload), len(long))
		}
		if first, payload, _ := c.Next(); first == 0x89 {
			c.Frame(0x8a, payload)
		}
		c.Frame(0x88, "\x03\xf4again") // 1012
		if first, payload, _ := c.Next(); first != 0x88 || !strings.HasPrefix(payload, "\x03\xf4") {
			t.Errorf("the close is echoed: %#x %q", first, payload)
		}
	})
	conn := dial(t, url, websocket.Options{Subprotocols: []string{"realtime.v1"}})
	if conn.Subprotocol() != "realtime.v1" {
		t.Error(conn.Subprotocol())
	}
	if data, err := conn.Read(context.Background()); string(data) != "Hello" || err != nil {
		t.Fatal(string(data), err)
	}
	if err := conn.Write(context.Background(), []byte(long)); err != nil {
		t.Fatal(err)
	}
	pinged := make(chan error)
	go func() { pinged <- conn.Ping(context.Background()) }()
	_, err := conn.Read(context.Background())
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 1012 || closed.Reason != "again" {
		t.Error(err)
	}
	if err := <-pinged; err != nil {
		t.Error(err)
	}
	if err := conn.Write(context.Background(), nil); err == nil {
		t.Error("written to a closed connection")
	}
}

func TestWhatTheServerMustNotSend(t *testing.T) {
	tests := map[string]struct {
		frames []string // each the first byte, then the payload
		code   int
	}{
		"binary":                       {[]string{"\x82x"}, 1003},
		"not UTF-8":                    {[]string{"\x81\xff"}, 1007},
		"not UTF-8 over fragments":     {[]string{"\x01\xe6", "\x80x"}, 1007},
		"too big":                      {[]string{"\x81" + strings.Repeat("x", 1025)}, 1009},
		"too big in fragments":         {[]string{"\x01" + strings.Repeat("x", 600), "\x80" + strings.Repeat("x", 600)}, 1009},
		"continuation of nothing":      {[]string{"\x80x"}, 1002},
		"text within fragments":        {[]string{"\x01x", "\x81y"}, 1002},
		"reserved bit":                 {[]string{"\xc1x"}, 1002},
		"unknown opcode":               {[]string{"\x83x"}, 1002},
		"long ping":                    {[]string{"\x89" + strings.Repeat("x", 126)}, 1002},
		"fragmented ping":              {[]string{"\x09x"}, 1002},
		"close with one byte":          {[]string{"\x88x"}, 1002},
		"close with a code of no wire": {[]string{"\x88\x03\xee"}, 1002},
		"close without a code":         {[]string{"\x88"}, 1005},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url := wstest.Serve(t, func(c *wstest.Conn) {
				for _, frame := range test.frames {
					c.Frame(frame[0], frame[1:])
				}
				if first, _, _ := c.Next(); first != 0x88 {
					t.Errorf("a close frame is due, not %#x", first)
				}
			})
			conn := dial(t, url, websocket.Options{Subprotocols: []string{"realtime.v1"}, MaxMessageBytes: 1024})
			_, err := conn.Read(context.Background())
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != test.code {
				t.Error(err)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	refused := wstest.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		http.Error(w, r.Header.Get("Authorization"), http.StatusServiceUnavailable)
	})
	header := http.Header{"Authorization": {"Bearer key"}}
	_, err := websocket.Dial(context.Background(), refused, websocket.Options{Header: header})
	var refusal *websocket.HandshakeError
	if !errors.As(err, &refusal) || refusal.Status != 503 || refusal.Header.Get("Retry-After") != "3" ||
		strings.TrimSpace(string(refusal.Body)) != "Bearer key" {
		t.Error(err)
	}
	unasked := wstest.Serve(t, func(*wstest.Conn) {})
	if _, err := websocket.Dial(context.Background(), unasked, websocket.Options{}); !errors.Is(err, websocket.ErrHandshake) {
		t.Error(err)
	}
	if _, err := websocket.Dial(context.Background(), "http://127.0.0.1/", websocket.Options{}); err == nil {
		t.Error("dialled an address of another scheme")
	}
}

func TestContextEndsWhatWaits(t *testing.T) {
	silent := wstest.Handle(t, func(http.ResponseWriter, *http.Request) { time.Sleep(200 * time.Millisecond) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := websocket.Dial(ctx, silent, websocket.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	url := wstest.Serve(t, func(c *wstest.Conn) { c.Next() })
	conn := dial(t, url, websocket.Options{Subprotocols: []string{"realtime.v1"}})
	reading, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	if _, err := conn.Read(reading); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
