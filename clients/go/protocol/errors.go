package protocol

import (
	"errors"
	"fmt"
	"time"
)

// What the client itself decides.
var (
	ErrDetached         = errors.New("realtime: detached: the response goes on at the server")
	ErrRequestTooLarge  = errors.New("realtime: the request is larger than the server's max_message_bytes")
	ErrAlreadyFollowed  = errors.New("realtime: this client follows that response already")
	ErrClosed           = errors.New("realtime: the client is closed")
	ErrEventNotReceived = errors.New("realtime: no event with that number has been received")
	ErrAbandoned        = errors.New("realtime: nobody waits for this create any more")
)

// A Code is the code of a server's error. It is an error itself, to be compared: errors.Is(err, realtime.CursorTooOld).
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Codes that callers tell apart. docs/protocol.md, 6.2, lists all.
const (
	ResponseNotFound         Code = "response_not_found"
	EpochMismatch            Code = "epoch_mismatch"
	CursorTooOld             Code = "cursor_too_old"
	CursorAhead              Code = "cursor_ahead"
	IdempotencyConflict      Code = "idempotency_conflict"
	ResponseAlreadyCompleted Code = "response_already_completed"
	ConversationMovedOn      Code = "conversation_moved_on"
	MissingToolOutput        Code = "missing_tool_output"
	InvalidAPIKey            Code = "invalid_api_key"
	NotPermitted             Code = "not_permitted"
	ServerRestarted          Code = "server_restarted"

	serverDraining  Code = "server_draining"
	connectionLimit Code = "websocket_connection_limit_reached"
	slowReader      Code = "slow_reader"
)

// A ServerError is the server's refusal of something that was asked.
type ServerError struct {
	Code           Code
	Message, Param string
	Status         int
	Retry          bool          // the same request may succeed later
	RetryAfter     time.Duration // no earlier than that
}

func (e *ServerError) Error() string {
	if e.Code == "" {
		return "realtime: " + e.Message // a proxy's
	}
	return fmt.Sprintf("realtime: %s: %s", e.Code, e.Message)
}

// Is reports whether target is this error's Code.
func (e *ServerError) Is(target error) bool { return target == e.Code }

// A ResponseFailedError tells that a response ended as response.failed. All of its events have been delivered.
type ResponseFailedError struct {
	ResponseID     string
	Code           Code
	Message, Param string
}

func (e *ResponseFailedError) Error() string {
	return fmt.Sprintf("realtime: the response failed: %s: %s", e.Code, e.Message)
}

// Is reports whether target is this error's Code.
func (e *ResponseFailedError) Is(target error) bool { return target == e.Code }

// A ConnectionError tells that there is no socket and will be none. What the response's cursor says still holds: it can
// be resumed later, also by another process.
type ConnectionError struct {
	CloseCode int    // of a socket that was open
	Status    int    // of a refused handshake
	Message   string // the server's words, if it had any
	Err       error  // the cause, if there is one
}

func (e *ConnectionError) Error() string {
	text := "realtime: connection lost"
	if e.Status != 0 {
		text = fmt.Sprintf("realtime: the handshake was refused with status %d", e.Status)
	} else if e.CloseCode != 0 {
		text = fmt.Sprintf("realtime: connection lost: close code %d", e.CloseCode)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// A ProtocolError tells that the server broke the protocol.
type ProtocolError struct{ Message string }

func (e *ProtocolError) Error() string { return "realtime: protocol error: " + e.Message }
