package faults_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // the SDK's clients may compress
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// fault decides what becomes of a call: an error before it reaches the server, or after the server did what it
// asks for, so that only its answer is lost. It may take its time.
type fault func(ctx context.Context, method string) (before, after error)

// proxy stands between processes and a Temporal server and hands every unary call on, whatever its service, as
// bytes.
type proxy struct {
	address string
	// struck is how many calls the faults ended.
	struck atomic.Int64

	server *grpc.ClientConn
	fault  atomic.Pointer[fault]
}

// newProxy starts a proxy of the server at address; it ends with the test.
func newProxy(t *testing.T, address string, f fault) *proxy {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{}), grpc.MaxCallRecvMsgSize(1<<27)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{server: connection, address: listener.Addr().String()}
	p.strike(f)
	s := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(p.handle), grpc.MaxRecvMsgSize(1<<27),
		// Clients that are alive say so more often than gRPC's servers like.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	return p
}

// strike sets the fault of the calls from now on.
func (p *proxy) strike(f fault) { p.fault.Store(&f) }

func (p *proxy) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request, answer []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	ctx := stream.Context()
	before, after := (*p.fault.Load())(ctx, method)
	if before != nil {
		p.struck.Add(1)
		return before
	}
	md, _ := metadata.FromIncomingContext(ctx)
	var header, trailer metadata.MD
	err := p.server.Invoke(metadata.NewOutgoingContext(ctx, md), method, &request, &answer,
		grpc.Header(&header), grpc.Trailer(&trailer))
	stream.SetTrailer(trailer)
	switch {
	case err != nil:
		return err
	case after != nil:
		p.struck.Add(1)
		return after
	}
	if err := stream.SetHeader(header); err != nil {
		return err
	}
	return stream.SendMsg(&answer)
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

func (bytesCodec) Name() string { return "proto" }
