package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxAnswerBytes = 64 << 20

// A Page is one page of a list, as the server has it.
type Page struct {
	Data    []json.RawMessage `json:"data"`
	LastID  string            `json:"last_id"` // give it as "after" for the next page
	HasMore bool              `json:"has_more"`
}

// half is what the server offers over HTTP, beside the socket and with the same key.
type half struct {
	client *Client
	http   *http.Client
}

func newHalf(client *Client) half {
	if client.config.HTTPClient != nil {
		return half{client, client.config.HTTPClient}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = client.config.TLS
	return half{client, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this server
	}}
}

// get and its like return the answer's JSON. Path elements are escaped here.
func (h half) get(ctx context.Context, query url.Values, path ...string) (json.RawMessage, error) {
	return h.do(ctx, http.MethodGet, path, query, nil)
}

func (h half) post(ctx context.Context, body any, path ...string) (json.RawMessage, error) {
	return h.do(ctx, http.MethodPost, path, nil, body)
}

func (h half) delete(ctx context.Context, path ...string) (json.RawMessage, error) {
	return h.do(ctx, http.MethodDelete, path, nil, nil)
}

// do sends what was refused for now again, for as long as on the socket. What may have been done already is not sent
// again, unless doing it twice is doing it once.
func (h half) do(ctx context.Context, method string, path []string, query url.Values, body any) (json.RawMessage, error) {
	address, err := h.address(path, query)
	if err != nil {
		return nil, err
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	policy := h.client.config.Policy
	var since time.Time
	for failures := 1; ; failures++ {
		answer, retry, err := h.once(ctx, method, address, content)
		if err == nil || !retry || ctx.Err() != nil {
			return answer, err
		}
		if failures == 1 {
			since = time.Now()
		}
		pause := policy.Backoff(failures)
		if refusal := (*ServerError)(nil); errors.As(err, &refusal) {
			pause += refusal.RetryAfter
		}
		if time.Since(since)+pause > policy.MaxRetry {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// once makes one attempt, whose time is bounded as a whole: a server that drips must not hold the caller. retry tells
// whether another one may be made.
func (h half) once(ctx context.Context, method, address string, content []byte) (answer json.RawMessage, retry bool, err error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, h.client.config.Policy.RequestTimeout)
	defer cancel()
	isSafe := method != http.MethodPost
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return nil, false, err
	}
	if request.Header, err = h.client.header(ctx); err != nil {
		return nil, !errors.Is(err, errKey), err
	}
	request.Header.Set("Accept", "application/json")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	reply, err := h.http.Do(request)
	var data []byte
	if err == nil {
		defer reply.Body.Close()
		data, err = io.ReadAll(io.LimitReader(reply.Body, maxAnswerBytes+1))
	}
	switch {
	case caller.Err() != nil:
		return nil, false, caller.Err()
	case err != nil:
		return nil, isSafe, &ConnectionError{Message: err.Error(), Err: err}
	case len(data) > maxAnswerBytes:
		return nil, false, &ProtocolError{Message: fmt.Sprintf("an answer of more than %d bytes", maxAnswerBytes)}
	case reply.StatusCode/100 != 2:
		refusal := refused(reply, data, isSafe)
		return nil, refusal.Retry, refusal
	case !json.Valid(data):
		return nil, false, &ProtocolError{Message: "the answer is not JSON"}
	}
	return data, false, nil
}

// address derives that of HTTP from the socket's: ws://host/v1/responses is below http://host/v1.
func (h half) address(path []string, query url.Values) (string, error) {
	base, err := url.Parse(h.client.url)
	if err != nil {
		return "", err
	}
	scheme, known := map[string]string{"ws": "http", "wss": "https"}[base.Scheme]
	if !known {
		return "", fmt.Errorf("realtime: %s is no address of a WebSocket", h.client.url)
	}
	root := strings.TrimSuffix(strings.TrimRight(base.Path, "/"), "/responses")
	escaped := make([]string, len(path))
	for i, element := range path {
		escaped[i] = url.PathEscape(element)
	}
	address := fmt.Sprintf("%s://%s%s/%s", scheme, base.Host, root, strings.Join(escaped, "/"))
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address, nil
}

var retryStatus = []int{408, 425, 429, 500, 502, 503, 504}

// refused is the server's error, or what a proxy answered.
func refused(reply *http.Response, data []byte, isSafe bool) *ServerError {
	seconds, _ := strconv.ParseUint(reply.Header.Get("Retry-After"), 10, 31)
	after := time.Duration(seconds) * time.Second
	var body struct {
		Error struct {
			Code           Code
			Message, Param string
			Retry          bool
			RetryAfter     *float64 `json:"retry_after"`
		}
	}
	if json.Unmarshal(data, &body) != nil || body.Error.Code == "" {
		retry := isSafe && slices.Contains(retryStatus, reply.StatusCode)
		return &ServerError{Message: reply.Status, Status: reply.StatusCode, Retry: retry, RetryAfter: after}
	}
	e := body.Error
	if e.RetryAfter != nil {
		after = time.Duration(min(max(*e.RetryAfter, 0), 1e9) * float64(time.Second))
	}
	return &ServerError{
		Code: e.Code, Message: e.Message, Param: e.Param, Status: reply.StatusCode, Retry: e.Retry, RetryAfter: after,
	}
}

// page decodes a list.
func page(data json.RawMessage, err error) (Page, error) {
	var page Page
	if err == nil && json.Unmarshal(data, &page) != nil {
		err = &ProtocolError{Message: "the answer is not a list"}
	}
	return page, err
}

// pages returns the entries of a list, which is fetched page after page as it is read. A list that does not get on is
// the server's fault, and an error.
func pages(query url.Values, list func(url.Values) (Page, error)) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		query := cloned(query)
		seen := map[string]bool{query.Get("after"): true}
		for {
			page, err := list(query)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range page.Data {
				if !yield(entry, nil) {
					return
				}
			}
			if !page.HasMore || len(page.Data) == 0 {
				return
			}
			if seen[page.LastID] {
				yield(nil, &ProtocolError{Message: fmt.Sprintf("the list comes to %q again", page.LastID)})
				return
			}
			seen[page.LastID] = true
			query.Set("after", page.LastID)
		}
	}
}

func cloned(query url.Values) url.Values {
	clone := url.Values{}
	for name, values := range query {
		clone[name] = slices.Clone(values)
	}
	return clone
}
