// Command follow creates a response at each address that it is given, some at once, reads it to its end, and prints each
// as one JSON object: a test compares it with what a good path brings.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"realtime"
)

const atOnce = 8

type report struct {
	URL    string            `json:"url"`
	Events []json.RawMessage `json:"events"`
	Final  json.RawMessage   `json:"final"`
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	var work sync.WaitGroup
	var printing sync.Mutex
	turns := make(chan struct{}, atOnce)
	for number, url := range os.Args[1:] {
		work.Add(1)
		go func() {
			defer work.Done()
			turns <- struct{}{}
			defer func() { <-turns }()
			r, err := follow(ctx, url, number)
			printing.Lock()
			defer printing.Unlock()
			if err != nil {
				fmt.Fprintln(os.Stderr, url, err)
				os.Exit(1)
			}
			_ = json.NewEncoder(os.Stdout).Encode(r)
		}()
	}
	work.Wait()
}

func follow(ctx context.Context, url string, number int) (r report, err error) {
	client := realtime.New(url, realtime.Config{Policy: realtime.Policy{
		FirstBackoff: 10 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, ConnectTimeout: 500 * time.Millisecond,
		Heartbeat: time.Second, MaxMissedHeartbeats: 1,
	}})
	defer client.Close()
	chance := rand.New(rand.NewPCG(uint64(number), 0))
	catchUp := []string{"events", "merged"}[chance.IntN(2)]
	response, err := client.Create(ctx, map[string]any{"input": "hi", "catch_up": catchUp})
	if err != nil {
		return r, err
	}
	defer response.Close()
	for event, err := range response.Events(ctx) {
		if err != nil {
			return r, err
		}
		r.Events = append(r.Events, event.Raw)
		if chance.Float64() < 0.05 {
			time.Sleep(20 * time.Millisecond) // a reader that is slow at times
		}
	}
	r.URL, r.Final = url, response.Object()
	return r, nil
}
