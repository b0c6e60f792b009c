// Command ask asks an endpoint picker for replicas, as Envoy's external processing filter does: it sends as many completion
// requests as it is told, writes one line for each answer ("sent 10.0.0.1:8000" or "refused 503") and leaves the requests
// unanswered until its standard input ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// destination is the header in which the picker names the replica.
const destination = "x-gateway-destination-endpoint"

func main() {
	address := flag.String("address", "", "the picker's gRPC address, HOST:PORT, without TLS")
	requests := flag.Int("requests", 1, "how many requests to send")
	model := flag.String("model", "", "the model that they ask for")
	flag.Parse()
	if err := run(*address, *model, *requests); err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
}

func run(address, model string, requests int) error {
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = connection.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	client := extproc.NewExternalProcessorClient(connection)
	errs := make([]error, requests)
	var asking sync.WaitGroup
	for i := range requests {
		asking.Go(func() { errs[i] = ask(ctx, client, model) })
	}
	asking.Wait()
	<-ctx.Done()
	return errors.Join(errs...)
}

// ask sends one request and leaves it open until the context ends or the picker refuses it.
func ask(ctx context.Context, client extproc.ExternalProcessorClient, model string) error {
	stream, err := client.Process(ctx)
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	headers := &core.HeaderMap{Headers: []*core.HeaderValue{
		{Key: ":method", RawValue: []byte("POST")},
		{Key: ":path", RawValue: []byte("/v1/completions")},
		{Key: "content-type", RawValue: []byte("application/json")},
	}}
	body := fmt.Appendf(nil, `{"model":%q,"prompt":"Once upon a time","max_tokens":16}`, model)
	for _, part := range []*extproc.ProcessingRequest{
		{Request: &extproc.ProcessingRequest_RequestHeaders{RequestHeaders: &extproc.HttpHeaders{Headers: headers}}},
		{Request: &extproc.ProcessingRequest_RequestBody{RequestBody: &extproc.HttpBody{Body: body, EndOfStream: true}}},
	} {
		if err := stream.Send(part); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	for {
		answer, err := stream.Recv()
		if status.Code(err) == codes.Canceled || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		report(answer)
	}
}

// report writes what the picker decided, where the answer says so.
func report(answer *extproc.ProcessingResponse) {
	if refusal := answer.GetImmediateResponse(); refusal != nil {
		fmt.Printf("refused %d\n", refusal.GetStatus().GetCode())
		return
	}
	for _, set := range answer.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders() {
		if set.GetHeader().GetKey() == destination {
			fmt.Printf("sent %s\n", set.GetHeader().GetRawValue())
		}
	}
}
