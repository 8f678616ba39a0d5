// Command soak streams an answer from a server whose sockets go wrong, cancels, hands over and steers others, and prints
// what came as one JSON object: a test compares it with what the server has said. Its waits are short, so that many
// faults fit in a test.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"realtime"
	"realtime/websocket"
)

type report struct {
	Text    string `json:"text"`
	Gaps    int    `json:"gaps"`    // events that did not follow the one before
	Sockets int32  `json:"sockets"` // that were opened
	Status  string `json:"status"`  // of the response that was cancelled
	Error   string `json:"error"`
}

// dialer counts the sockets.
type dialer struct{ opened atomic.Int32 }

func (d *dialer) Dial(ctx context.Context, url string, header http.Header, protocols []string) (realtime.Conn, error) {
	conn, err := websocket.Dial(ctx, url, websocket.Options{Header: header, Subprotocols: protocols})
	if err != nil {
		return nil, err
	}
	d.opened.Add(1)
	return conn, nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: soak ws://HOST:PORT/v1/responses")
		os.Exit(2)
	}
	sockets := &dialer{}
	client := realtime.New(os.Args[1], realtime.Config{Dialer: sockets, Policy: realtime.Policy{
		FirstBackoff: 20 * time.Millisecond, ConnectTimeout: 300 * time.Millisecond,
		Heartbeat: time.Second, MaxMissedHeartbeats: 1,
	}})
	defer client.Close()
	var r report
	if err := r.play(client); err != nil {
		r.Error = err.Error()
	}
	r.Sockets = sockets.opened.Load()
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

func (r *report) play(client *realtime.Client) error {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	for _, part := range []func(context.Context, *realtime.Client) error{r.stream, r.stop, handOver, steer} {
		if err := part(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) stream(ctx context.Context, client *realtime.Client) error {
	response, err := client.Create(ctx, map[string]any{"input": "hi"})
	if err != nil {
		return err
	}
	defer response.Close()
	next := 0
	for event, err := range response.Events(ctx) {
		if err != nil {
			return err
		}
		if event.First != next {
			r.Gaps++
		}
		next = event.Number + 1
		r.Text += event.TextDelta()
	}
	return nil
}

func (r *report) stop(ctx context.Context, client *realtime.Client) error {
	response, err := client.Create(ctx, map[string]any{"input": "hi"})
	if err != nil {
		return err
	}
	receipt, err := response.Cancel(ctx)
	r.Status = receipt.Status
	return err
}

// handOver detaches from a response, goes on with it, and cuts it at what was read before.
func handOver(ctx context.Context, client *realtime.Client) error {
	response, err := client.Create(ctx, map[string]any{"input": "hi"})
	if err != nil {
		return err
	}
	if err := readText(ctx, response); err != nil {
		return err
	}
	cursor := response.Detach()
	again, err := client.Resume(ctx, cursor)
	if err != nil {
		return err
	}
	for event, err := range again.Events(ctx) {
		if err != nil || event.First != cursor.StartingAfter+1 {
			return fmt.Errorf("went on with %d behind %d: %w", event.First, cursor.StartingAfter, err)
		}
		break
	}
	cut, err := again.TruncateThrough(ctx, cursor.StartingAfter)
	if err != nil {
		return err
	}
	var object struct{ Truncated struct{ Through int } }
	if err := json.Unmarshal(cut, &object); err != nil || object.Truncated.Through != cursor.StartingAfter {
		return fmt.Errorf("cut at %d, not at %d: %w", object.Truncated.Through, cursor.StartingAfter, err)
	}
	return nil
}

// steer gives input to a response, and follows what the server starts then. A cut may have lost the input, and on another
// socket a response can't be steered: then with another response.
func steer(ctx context.Context, client *realtime.Client) error {
	for {
		err := steerOnce(ctx, client)
		var lost *realtime.ConnectionError
		if !errors.As(err, &lost) && !errors.Is(err, realtime.Code("steering_not_supported")) {
			return err
		}
	}
}

func steerOnce(ctx context.Context, client *realtime.Client) error {
	response, err := client.Create(ctx, map[string]any{"input": "hi"})
	if err != nil {
		return err
	}
	defer response.Close()
	if err := readText(ctx, response); err != nil {
		return err
	}
	input, err := response.Steer("turn left")
	if err != nil {
		return err
	}
	if fate, err := input.Wait(ctx); err != nil || fate != realtime.Applied {
		return fmt.Errorf("the steer is %s: %w", fate, err)
	}
	successor, err := response.Successor(ctx)
	if err != nil {
		return err
	}
	defer successor.Close()
	return readText(ctx, successor)
}

// readText reads until there is some.
func readText(ctx context.Context, response *realtime.Response) error {
	for _, err := range response.Text(ctx) {
		return err
	}
	return fmt.Errorf("%s has no text", response.ID())
}
