package realtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"realtime/protocol"
)

// link is one open socket, with the goroutines that read it, write to it and ping it.
type link struct {
	client *Client
	conn   Conn
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	queue  [][]byte
	last   bool // nothing will be pushed any more
	queued chan struct{}
}

const goodbye = time.Second // for what is still to be written at the end

func newLink(client *Client, conn Conn) *link {
	l := &link{client: client, conn: conn, queued: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	client.work.Add(2)
	go l.read()
	go l.write()
	if pinger, ok := conn.(interface{ Ping(context.Context) error }); ok {
		client.work.Add(1)
		go l.ping(pinger.Ping)
	}
	return l
}

// push takes messages to be written. It does not block: the reader must not wait for the writer.
func (l *link) push(messages [][]byte) {
	if len(messages) == 0 {
		return
	}
	l.mu.Lock()
	l.queue = append(l.queue, messages...)
	l.mu.Unlock()
	l.wake()
}

// drop ends the socket, politely if there is time for it.
func (l *link) drop(politely bool) {
	l.mu.Lock()
	l.last = true
	l.mu.Unlock()
	if politely {
		time.AfterFunc(goodbye, l.cancel)
	} else {
		l.cancel()
	}
	l.wake()
}

func (l *link) wake() {
	select {
	case l.queued <- struct{}{}:
	default:
	}
}

func (l *link) read() {
	defer l.client.work.Done()
	for {
		data, err := l.conn.Read(l.ctx)
		if err != nil {
			l.closed(err)
			return
		}
		l.client.do(func(s *protocol.Session) {
			if l.client.link == l {
				s.Receive(data)
			}
		})
	}
}

func (l *link) closed(err error) {
	code := 1006
	var frame *CloseError
	if errors.As(err, &frame) {
		code = frame.Code
	}
	l.client.do(func(s *protocol.Session) {
		if l.client.link == l {
			s.Closed(code)
		}
	})
	l.drop(false)
}

func (l *link) write() {
	defer l.client.work.Done()
	defer l.cancel()
	for {
		l.mu.Lock()
		queue, last := l.queue, l.last
		l.queue = nil
		l.mu.Unlock()
		for _, message := range queue {
			if err := l.conn.Write(l.ctx, message); err != nil {
				_ = l.conn.Close(1011, "") // the reader tells
				return
			}
		}
		if last {
			_ = l.conn.Close(1000, "")
			return
		}
		select {
		case <-l.queued:
		case <-l.ctx.Done():
			_ = l.conn.Close(1000, "")
			return
		}
	}
}

// ping is for a socket without heartbeats, also until the server has promised them: a pong that does not come in time is a
// dead path. Until then it is as patient as the heartbeats will be.
func (l *link) ping(ping func(context.Context) error) {
	defer l.client.work.Done()
	interval, patience := pingInterval, pingInterval
	if policy := l.client.config.Policy; policy.Heartbeat > 0 {
		interval, patience = policy.Heartbeat, policy.Heartbeat*time.Duration(policy.MaxMissedHeartbeats)
	}
	for !l.isWatched() {
		ctx, cancel := context.WithTimeout(l.ctx, patience)
		err := ping(ctx)
		cancel()
		if err != nil {
			l.cancel()
			return
		}
		select {
		case <-time.After(interval):
		case <-l.ctx.Done():
			return
		}
	}
}

func (l *link) isWatched() bool {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	return l.client.session.IsWatched()
}
