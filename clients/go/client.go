package realtime

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"realtime/protocol"
	"realtime/websocket"
)

// A Client holds one connection to a server. It connects when there is something to do, and again after a cut. Its
// methods, and those of what it returns, may be called by any goroutine.
type Client struct {
	// Responses and Conversations are what the server keeps, over HTTP.
	Responses     Responses
	Conversations Conversations

	url    string
	config Config
	began  time.Time
	ctx    context.Context // of its goroutines
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	session    *protocol.Session
	changed    chan struct{} // closed at each change
	timer      *time.Timer
	key        string
	link       *link
	attempt    int
	cancelDial context.CancelFunc
	closed     bool
}

// New returns a Client for an address such as ws://127.0.0.1:8000/v1/responses. It does not connect yet.
func New(url string, config Config) *Client {
	config = config.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	client := &Client{
		url: url, config: config, key: config.APIKey, began: time.Now(), ctx: ctx, stop: stop,
		session: protocol.NewSession(config.Policy), changed: make(chan struct{}),
	}
	half := newHalf(client)
	client.Responses, client.Conversations = Responses{half}, Conversations{half}
	return client
}

// Close ends the connection and waits until it is gone. Responses that run are left to the server, which ends them when
// nobody has resumed them for a while; Cancel what is to stop at once.
func (c *Client) Close() error {
	c.do(func(s *protocol.Session) {
		c.closed = true
		s.Close()
	})
	c.stop()
	c.work.Wait()
	if c.config.HTTPClient == nil {
		c.Responses.http.CloseIdleConnections()
	}
	return nil
}

// State returns how the connection stands.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.State()
}

// States returns the state now, and each time that it is another one. They end behind Closed, and with ctx.
func (c *Client) States(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		state := c.State()
		for yield(state) && state != Closed {
			if c.wait(ctx, func() bool { return c.session.State() != state }) != nil {
				return
			}
			state = c.State()
		}
	}
}

// Create starts a response and waits until the server has it. body is anything that marshals to a JSON object with the
// members of response.create. When ctx ends first the response is cancelled; with a request_id of the caller's it is
// let go, because another process may wait for the same request.
func (c *Client) Create(ctx context.Context, body any) (*Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, fmt.Errorf("realtime: the body of a create has to be a JSON object")
	}
	var run *protocol.Run
	c.do(func(s *protocol.Session) { run, err = s.Create(members) })
	if err != nil {
		return nil, err
	}
	return c.confirmed(ctx, run, run.Abandon)
}

// Resume follows a response behind a cursor: one that this or another process created, running or finished. The zero
// value of StartingAfter would leave out the first event: -1 is from the start.
func (c *Client) Resume(ctx context.Context, cursor Cursor) (*Response, error) {
	var run *protocol.Run
	var err error
	c.do(func(s *protocol.Session) { run, err = s.Resume(cursor, "") })
	if err != nil {
		return nil, err
	}
	return c.confirmed(ctx, run, run.Detach)
}

func (c *Client) confirmed(ctx context.Context, run *protocol.Run, giveUp func()) (*Response, error) {
	err := c.wait(ctx, func() bool { return run.Confirmed() || run.Ended() })
	c.mu.Lock()
	confirmed, failure := run.Confirmed(), run.Err()
	c.mu.Unlock()
	switch {
	case confirmed:
		return &Response{c, run}, nil
	case err != nil:
		c.do(func(*protocol.Session) { giveUp() })
		return nil, err
	}
	return nil, failure
}

// SetAPIKey renews the key of the open connection, and of the next handshakes. APIKeyFunc, if there is one, goes first.
func (c *Client) SetAPIKey(ctx context.Context, key string) error {
	var update *protocol.Update
	c.do(func(s *protocol.Session) { update = s.Update(map[string]any{"api_key": key}) })
	if err := c.wait(ctx, func() bool { return update.Done() }); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if update.Err == nil {
		c.key = key
	}
	return update.Err
}

// do changes the session, and then does what it decided.
func (c *Client) do(change func(*protocol.Session)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.Advance(time.Since(c.began))
	change(c.session)
	c.settle()
}

// wait returns when the condition holds; it is checked, with the lock held, after each change.
func (c *Client) wait(ctx context.Context, condition func() bool) error {
	for {
		c.mu.Lock()
		holds, changed := condition(), c.changed
		c.mu.Unlock()
		if holds {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) settle() {
	if c.link != nil && !c.session.IsOpen() {
		c.link.drop(c.closed)
		c.link = nil
	}
	attempt, dials := c.session.Dials()
	if c.cancelDial != nil && (!dials || attempt != c.attempt) {
		c.cancelDial()
		c.cancelDial = nil
	}
	if dials && attempt != c.attempt {
		var ctx context.Context
		ctx, c.cancelDial = context.WithCancel(c.ctx)
		c.attempt = attempt
		c.work.Add(1)
		go c.dial(ctx, attempt)
	}
	if messages := c.session.Sent(); c.link != nil {
		c.link.push(messages)
	}
	c.setTimer()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) setTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if wake, ok := c.session.NextWake(); ok && !c.closed {
		delay := wake - time.Since(c.began)
		c.timer = time.AfterFunc(delay, func() { c.do(func(*protocol.Session) {}) })
	}
}

// dial makes one attempt. Its end is cancelled or ignored when the session has given it up.
func (c *Client) dial(ctx context.Context, attempt int) {
	defer c.work.Done()
	conn, err := c.open(ctx)
	c.do(func(s *protocol.Session) {
		if current, dials := s.Dials(); !dials || current != attempt || c.closed {
			if err == nil {
				c.work.Add(1)
				go func() {
					defer c.work.Done()
					_ = conn.Close(1000, "")
				}()
			}
			return
		}
		if err != nil {
			failed(s, err)
			return
		}
		s.Opened()
		c.link = newLink(c, conn)
	})
}

// header is what each handshake and each request carries, with the key of now.
func (c *Client) header(ctx context.Context) (http.Header, error) {
	c.mu.Lock()
	key := c.key
	c.mu.Unlock()
	if c.config.APIKeyFunc != nil {
		var err error
		if key, err = c.config.APIKeyFunc(ctx); err != nil {
			return nil, err
		}
	}
	header := c.config.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return nil, errKey
	}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	return header, nil
}

func (c *Client) open(ctx context.Context) (Conn, error) {
	header, err := c.header(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.config.Dialer.Dial(ctx, c.url, header, []string{subprotocol})
	if err != nil {
		return nil, err
	}
	if conn.Subprotocol() != subprotocol {
		_ = conn.Close(1002, "")
		return nil, fmt.Errorf("%w: the server has not chosen %s", errUnusable, subprotocol)
	}
	return conn, nil
}

var (
	errUnusable = errors.New("realtime: not a server of this protocol")
	errKey      = errors.New("realtime: the key can't be sent in a header")
)

// failed tells the session why an attempt came to nothing.
func failed(s *protocol.Session, err error) {
	var refusal *HandshakeError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refusal):
		after, _ := strconv.ParseUint(refusal.Header.Get("Retry-After"), 10, 32)
		s.Refused(refusal.Status, refusal.Body, time.Duration(after)*time.Second)
	case errors.Is(err, errUnusable), errors.Is(err, errKey), errors.Is(err, websocket.ErrHandshake), errors.As(err, &certificate):
		s.Unusable(err)
	default:
		s.Unreachable(err)
	}
}
