package websocket

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxHandshakeBytes      = 64 << 10
	defaultMaxMessageBytes = 64 << 20
	acceptKey              = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
)

// Options of a connection. The zero value works.
type Options struct {
	// Header is sent with the handshake.
	Header http.Header
	// Subprotocols are offered, the preferred one first.
	Subprotocols []string
	// TLS is for wss; nil: the defaults of crypto/tls.
	TLS *tls.Config
	// MaxMessageBytes bounds a message of the server. Default: 64 MiB.
	MaxMessageBytes int
	// NetDial opens the TCP connection; nil: net.Dialer.DialContext.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A HandshakeError tells that the server answered the handshake with another status than 101.
type HandshakeError struct {
	Status int
	Header http.Header
	Body   []byte // its first 64 KiB
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("websocket: the handshake was refused with status %d", e.Status)
}

// ErrHandshake tells that what answered agreed to something else than was asked for.
var ErrHandshake = errors.New("websocket: invalid handshake")

// Dial opens a connection to a ws or wss address. ctx bounds the attempt, not the connection.
func Dial(ctx context.Context, address string, options Options) (*Conn, error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" || target.Scheme != "ws" && target.Scheme != "wss" {
		return nil, errors.New("websocket: the address must be ws://HOST/PATH or wss://HOST/PATH")
	}
	raw, err := open(ctx, target, &options)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := shakeHands(raw, target, &options)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

func open(ctx context.Context, target *url.URL, options *Options) (net.Conn, error) {
	dial := options.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	port := target.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[target.Scheme]
	}
	raw, err := dial(ctx, "tcp", net.JoinHostPort(target.Hostname(), port))
	if err != nil || target.Scheme == "ws" {
		return raw, err
	}
	config := options.TLS.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config.ServerName = target.Hostname()
	}
	config.NextProtos = []string{"http/1.1"}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return secure, nil
}

func shakeHands(raw net.Conn, target *url.URL, options *Options) (*Conn, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	request := &http.Request{Method: http.MethodGet, URL: target, Host: target.Host, Header: options.Header.Clone()}
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Version", "13")
	request.Header.Set("Sec-WebSocket-Key", key)
	if len(options.Subprotocols) > 0 {
		request.Header.Set("Sec-WebSocket-Protocol", strings.Join(options.Subprotocols, ", "))
	}
	if err := request.Write(raw); err != nil {
		return nil, err
	}
	bounded := &io.LimitedReader{R: raw, N: maxHandshakeBytes}
	reader := bufio.NewReader(bounded)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, fmt.Errorf("websocket: reading the handshake's answer: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body)
		return nil, &HandshakeError{Status: response.StatusCode, Header: response.Header, Body: body}
	}
	chosen := response.Header.Get("Sec-WebSocket-Protocol")
	if err := check(response.Header, key, chosen, options.Subprotocols); err != nil {
		return nil, err
	}
	bounded.N = math.MaxInt64
	limit := options.MaxMessageBytes
	if limit <= 0 {
		limit = defaultMaxMessageBytes
	}
	return &Conn{net: raw, reader: reader, subprotocol: chosen, limit: limit, ended: make(chan struct{})}, nil
}

func check(header http.Header, key, chosen string, offered []string) error {
	digest := sha1.Sum([]byte(key + acceptKey))
	switch {
	case !strings.EqualFold(header.Get("Upgrade"), "websocket"), !hasToken(header, "Connection", "upgrade"):
		return fmt.Errorf("%w: no upgrade", ErrHandshake)
	case header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(digest[:]):
		return fmt.Errorf("%w: wrong Sec-WebSocket-Accept", ErrHandshake)
	case header.Get("Sec-WebSocket-Extensions") != "":
		return fmt.Errorf("%w: an extension that was not offered", ErrHandshake)
	case chosen != "" && !slices.Contains(offered, chosen):
		return fmt.Errorf("%w: a sub-protocol that was not offered", ErrHandshake)
	}
	return nil
}

func hasToken(header http.Header, name, token string) bool {
	for _, line := range header.Values(name) {
		for _, value := range strings.Split(line, ",") {
			if strings.EqualFold(strings.TrimSpace(value), token) {
				return true
			}
		}
	}
	return false
}
