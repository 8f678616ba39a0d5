// Package websocket is a client of RFC 6455 for text messages, on the standard library alone. It does what package
// realtime needs, and no more: no extensions, and no binary messages.
package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	controlTimeout = 5 * time.Second // to write a pong
	closeTimeout   = time.Second     // to say goodbye
)

// A CloseError tells how the connection was closed: by the server's close frame, or by this side because of what the
// server sent (1002, 1003, 1007, 1009). A connection that ended without one gives another error.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed with %d %q", e.Code, e.Reason)
}

// A Conn is an open connection. One goroutine may read while others write.
type Conn struct {
	net         net.Conn
	reader      *bufio.Reader
	subprotocol string
	limit       int

	writing sync.Mutex
	closing bool // a close frame was sent
	ended   chan struct{}
	endOnce sync.Once

	pinging sync.Mutex
	pings   int
	pongs   map[string]chan struct{}
}

// Subprotocol returns what the server chose, "" if it chose none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Read returns the next text message. It answers pings meanwhile. After an error, also of ctx, the connection is of no
// use any more.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	_ = c.net.SetReadDeadline(time.Time{})
	defer afterwards(ctx, c.net.SetReadDeadline)()
	data, err := c.readMessage()
	if err == nil {
		return data, nil
	}
	var closed *CloseError
	if errors.As(err, &closed) {
		c.writeClose(closed.Code, closed.Reason)
	} else if ctx.Err() != nil {
		err = ctx.Err()
	}
	c.end()
	return nil, err
}

func (c *Conn) readMessage() ([]byte, error) {
	var message []byte
	started := false
	for {
		f, err := readFrame(c.reader, c.limit-len(message))
		if err != nil {
			return nil, err
		}
		if f.op.isControl() {
			if err := c.control(f); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case f.op == opBinary:
			return nil, &CloseError{Code: 1003, Reason: "binary messages are not taken"}
		case started != (f.op == opContinuation):
			return nil, broken("fragments out of order")
		}
		started = true
		if message == nil {
			message = f.payload
		} else {
			message = append(message, f.payload...)
		}
		if f.final {
			if !utf8.Valid(message) {
				return nil, &CloseError{Code: 1007, Reason: "a text message is not UTF-8"}
			}
			return message, nil
		}
	}
}

func (c *Conn) control(f frame) error {
	switch f.op {
	case opClose:
		return parseClose(f.payload)
	case opPing:
		ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
		defer cancel()
		return c.write(ctx, opPong, f.payload)
	case opPong:
		c.pinging.Lock()
		defer c.pinging.Unlock()
		if waiter := c.pongs[string(f.payload)]; waiter != nil {
			close(waiter)
			delete(c.pongs, string(f.payload))
		}
	}
	return nil
}

// Write sends one text message. After an error the connection is of no use any more.
func (c *Conn) Write(ctx context.Context, data []byte) error { return c.write(ctx, opText, data) }

func (c *Conn) write(ctx context.Context, op opcode, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_ = c.net.SetWriteDeadline(time.Time{})
	defer afterwards(ctx, c.net.SetWriteDeadline)()
	if _, err := c.net.Write(appendFrame(nil, op, payload)); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		c.end() // part of a frame may have been written
		return err
	}
	return nil
}

// afterwards ends a read or write when ctx does. What it returns has to be called, and leaves nothing behind.
func afterwards(ctx context.Context, setDeadline func(time.Time) error) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = setDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// Ping sends a ping and waits for its pong. Another goroutine has to be in Read meanwhile.
func (c *Conn) Ping(ctx context.Context) error {
	c.pinging.Lock()
	c.pings++
	name, waiter := strconv.Itoa(c.pings), make(chan struct{})
	if c.pongs == nil {
		c.pongs = map[string]chan struct{}{}
	}
	c.pongs[name] = waiter
	c.pinging.Unlock()
	defer func() {
		c.pinging.Lock()
		delete(c.pongs, name)
		c.pinging.Unlock()
	}()
	if err := c.write(ctx, opPing, []byte(name)); err != nil {
		return err
	}
	select {
	case <-waiter:
		return nil
	case <-c.ended:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close sends a close frame, gives the server a second to answer it where a goroutine is in Read, and ends the
// connection.
func (c *Conn) Close(code int, reason string) error {
	if c.writeClose(code, reason) {
		select {
		case <-c.ended:
		case <-time.After(closeTimeout):
		}
	}
	c.end()
	return nil
}

// writeClose reports whether it has sent the close frame, which is sent once.
func (c *Conn) writeClose(code int, reason string) bool {
	_ = c.net.SetWriteDeadline(time.Now().Add(closeTimeout)) // also for a write that is under way
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return false
	}
	c.closing = true
	_ = c.net.SetWriteDeadline(time.Now().Add(closeTimeout))
	_, err := c.net.Write(appendFrame(nil, opClose, closePayload(code, reason)))
	return err == nil
}

func (c *Conn) end() {
	c.endOnce.Do(func() {
		close(c.ended)
		_ = c.net.Close()
	})
}
