// Package protocol is the client's side of realtime.v1 without I/O: a state machine that is given the time, what the
// caller wants and what the server says, and that decides what is sent, when a socket is opened and when one is dropped.
//
// Package realtime wraps it in goroutines and sockets. Use this package for an event loop of your own: after each call,
// send what [Session.Sent] returns, open a socket while [Session.Dials] is true, and call [Session.Advance] again no
// later than [Session.NextWake]. A Session is not safe for concurrent use.
package protocol

import (
	"math/rand/v2"
	"time"
)

// A Policy bounds how long the client waits, how often it tries, and how much it keeps. Zero fields take the defaults.
type Policy struct {
	// FirstBackoff is the longest delay before the first attempt to connect again. It doubles up to MaxBackoff, and each
	// delay is a random time between half and all of it. Defaults: 250 ms and 10 s.
	FirstBackoff, MaxBackoff time.Duration
	// MaxRetry is how long the client goes on without progress before the caller gets the error. Default: 60 s.
	MaxRetry time.Duration
	// ConnectTimeout bounds an attempt to open a socket, handshake included. After attempts that took too long it is up to
	// four times as long. Default: 5 s.
	ConnectTimeout time.Duration
	// RequestTimeout bounds one attempt of a request over HTTP, its answer included. Default: 120 s.
	RequestTimeout time.Duration
	// Heartbeat is how often the server is asked to say something. 0: not at all.
	Heartbeat time.Duration
	// MaxMissedHeartbeats is how many intervals of silence mean a dead path. Default: 3.
	MaxMissedHeartbeats int
	// MaxBufferBytes is how much of one response may be unread before it is detached until the caller has caught up.
	// Default: 1 MiB.
	MaxBufferBytes int
	// Lanes is how many creates run beside each other; more wait in the client. Default and most: 16.
	Lanes int
}

// WithDefaults returns the policy with the defaults in place.
func (p Policy) WithDefaults() Policy {
	setDuration(&p.FirstBackoff, 250*time.Millisecond)
	setDuration(&p.MaxBackoff, 10*time.Second)
	setDuration(&p.MaxRetry, 60*time.Second)
	setDuration(&p.ConnectTimeout, 5*time.Second)
	setDuration(&p.RequestTimeout, 120*time.Second)
	setInt(&p.MaxMissedHeartbeats, 3)
	setInt(&p.MaxBufferBytes, 1<<20)
	setInt(&p.Lanes, 16)
	return p
}

// Backoff returns the delay after so many failures in a row.
func (p Policy) Backoff(failures int) time.Duration {
	longest := p.FirstBackoff
	for range failures - 1 {
		longest *= 2
		if longest >= p.MaxBackoff {
			longest = p.MaxBackoff
			break
		}
	}
	return longest/2 + time.Duration(rand.Int64N(int64(longest/2)+1))
}

func setDuration(field *time.Duration, value time.Duration) {
	if *field <= 0 {
		*field = value
	}
}

func setInt(field *int, value int) {
	if *field <= 0 {
		*field = value
	}
}
