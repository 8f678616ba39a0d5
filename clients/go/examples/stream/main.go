// Command stream prints the answer to a prompt as it comes, through cuts of the connection. Ctrl-C cancels it, and the
// receipt is printed.
//
//	go run ./examples/stream -url ws://127.0.0.1:8000/v1/responses "Tell me a story."
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"realtime"
)

func main() {
	address := flag.String("url", "ws://127.0.0.1:8000/v1/responses", "the server")
	flag.Parse()
	client := realtime.New(*address, realtime.Config{APIKey: os.Getenv("REALTIME_API_KEY")})
	defer client.Close()
	if err := stream(client, strings.Join(flag.Args(), " ")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		client.Close()
		os.Exit(1)
	}
}

func stream(client *realtime.Client, prompt string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	response, err := client.Create(ctx, map[string]any{"input": prompt})
	if err != nil {
		return err
	}
	for text, err := range response.Text(ctx) {
		if ctx.Err() != nil {
			return cancel(response)
		}
		if err != nil {
			return err
		}
		fmt.Print(text)
	}
	return nil
}

func cancel(response *realtime.Response) error {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	receipt, err := response.Cancel(ctx)
	if err == nil {
		fmt.Fprintf(os.Stderr, "\n%s after %d tokens\n", receipt.Status, receipt.TokensGenerated)
	}
	return err
}
