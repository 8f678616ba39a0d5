package realtime

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"realtime/protocol"
	"realtime/websocket"
)

// Config says how a Client connects. The zero value works for a server without keys.
type Config struct {
	// APIKey is the key, or a ticket for one response.
	APIKey string
	// APIKeyFunc, if it is set, is asked for the key before each handshake and each request over HTTP.
	APIKeyFunc func(ctx context.Context) (string, error)
	// Policy bounds waiting and memory. Its Heartbeat is 5 s by default here; a negative one asks for none.
	Policy Policy
	// TLS is for wss addresses; nil: the defaults of crypto/tls. A Dialer of your own does not see it.
	TLS *tls.Config
	// Header is sent with each handshake and each request over HTTP.
	Header http.Header
	// Dialer opens sockets; nil: package realtime/websocket.
	Dialer Dialer
	// HTTPClient is for what goes over HTTP; nil: one with TLS, which follows no redirect.
	HTTPClient *http.Client
}

// A Dialer opens a WebSocket. A handshake that was answered with another status than 101 is a *HandshakeError.
type Dialer interface {
	Dial(ctx context.Context, url string, header http.Header, subprotocols []string) (Conn, error)
}

// A Conn is an open WebSocket. Read is called by one goroutine while another one is in Write. A connection that was
// closed with a close frame gives a *CloseError from Read. A Conn that also has Ping(context.Context) error is pinged
// until the server has promised heartbeats; without it, a path that dies before that is found by the system alone.
type Conn interface {
	Subprotocol() string
	Read(ctx context.Context) ([]byte, error)
	Write(ctx context.Context, message []byte) error
	Close(code int, reason string) error
}

// What a Dialer and its Conn tell.
type (
	// A HandshakeError tells that a handshake was refused.
	HandshakeError = websocket.HandshakeError
	// A CloseError tells the code of a close frame.
	CloseError = websocket.CloseError
)

const (
	subprotocol      = "realtime.v1"
	defaultHeartbeat = 5 * time.Second
	pingInterval     = 20 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Policy.Heartbeat == 0 {
		c.Policy.Heartbeat = defaultHeartbeat
	}
	c.Policy = c.Policy.WithDefaults()
	if c.Dialer == nil {
		c.Dialer = standardDialer{c.TLS}
	}
	return c
}

type standardDialer struct{ tls *tls.Config }

func (d standardDialer) Dial(ctx context.Context, url string, header http.Header, protocols []string) (Conn, error) {
	conn, err := websocket.Dial(ctx, url, websocket.Options{Header: header, Subprotocols: protocols, TLS: d.tls})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// The state machine's types, which callers see.
type (
	// A Policy bounds waiting and memory.
	Policy = protocol.Policy
	// An Event is one event of a response.
	Event = protocol.Event
	// A State is how the connection stands.
	State = protocol.State
	// A Cursor is all that is needed to go on with a response later, anywhere.
	Cursor = protocol.Cursor
	// A Fate is how an Input stands.
	Fate = protocol.Fate
	// A Code is the code of a server's error, to be compared with errors.Is.
	Code = protocol.Code
	// A ServerError is the server's refusal.
	ServerError = protocol.ServerError
	// A ResponseFailedError tells that a response ended as response.failed.
	ResponseFailedError = protocol.ResponseFailedError
	// A ConnectionError tells that there is no socket and will be none.
	ConnectionError = protocol.ConnectionError
	// A ProtocolError tells that the server broke the protocol.
	ProtocolError = protocol.ProtocolError
)

// Codes that callers tell apart.
const (
	ResponseNotFound         = protocol.ResponseNotFound
	EpochMismatch            = protocol.EpochMismatch
	CursorTooOld             = protocol.CursorTooOld
	CursorAhead              = protocol.CursorAhead
	IdempotencyConflict      = protocol.IdempotencyConflict
	ResponseAlreadyCompleted = protocol.ResponseAlreadyCompleted
	ConversationMovedOn      = protocol.ConversationMovedOn
	MissingToolOutput        = protocol.MissingToolOutput
	InvalidAPIKey            = protocol.InvalidAPIKey
	NotPermitted             = protocol.NotPermitted
	ServerRestarted          = protocol.ServerRestarted
)

// States of the connection.
const (
	Idle         = protocol.Idle
	Connecting   = protocol.Connecting
	Open         = protocol.Open
	Reconnecting = protocol.Reconnecting
	Closed       = protocol.Closed
)

// Fates of an Input.
const (
	Held     = protocol.Held
	Sent     = protocol.Sent
	Accepted = protocol.Accepted
	Pending  = protocol.Pending
	Applied  = protocol.Applied
	Failed   = protocol.Failed
)

// What the client itself decides.
var (
	ErrDetached         = protocol.ErrDetached
	ErrRequestTooLarge  = protocol.ErrRequestTooLarge
	ErrAlreadyFollowed  = protocol.ErrAlreadyFollowed
	ErrClosed           = protocol.ErrClosed
	ErrEventNotReceived = protocol.ErrEventNotReceived
)
