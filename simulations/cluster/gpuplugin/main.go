// Command gpuplugin is a kubelet device plugin that pretends to have GPUs.
//
// The kubelet then advertises and hands them out like real ones: a pod that asks for one gets
// NVIDIA_VISIBLE_DEVICES=GPU-simulated-N, and a pod too many stays Pending. It gives no device to any container.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	deviceplugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	socket       = deviceplugin.DevicePluginPath + "preheat-gpu.sock"
	startTimeout = 2 * time.Minute // for the kubelet to come up and accept the registration
	retryPause   = 100 * time.Millisecond
)

func main() {
	count := flag.Int("n", 8, "number of GPUs to advertise")
	resource := flag.String("resource", "nvidia.com/gpu", "extended resource to advertise them as")
	flag.Parse()
	if err := run(*count, *resource); err != nil {
		slog.Error("device plugin failed", "err", err)
		os.Exit(1)
	}
}

func run(count int, resource string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := waitForKubelet(ctx); err != nil {
		return err
	}
	failed, err := serve(&plugin{count: count})
	if err != nil {
		return err
	}
	if err := registerUntilAccepted(ctx, resource); err != nil {
		return err
	}
	slog.Info("registered", "resource", resource, "count", count)
	return <-failed
}

// plugin serves a fixed set of healthy devices.
type plugin struct {
	deviceplugin.UnimplementedDevicePluginServer
	count int
}

func (p *plugin) GetDevicePluginOptions(context.Context, *deviceplugin.Empty) (*deviceplugin.DevicePluginOptions, error) {
	return &deviceplugin.DevicePluginOptions{}, nil
}

// ListAndWatch reports the devices once; they never change afterwards.
func (p *plugin) ListAndWatch(_ *deviceplugin.Empty, stream grpc.ServerStreamingServer[deviceplugin.ListAndWatchResponse]) error {
	devices := make([]*deviceplugin.Device, p.count)
	for i := range devices {
		devices[i] = &deviceplugin.Device{ID: fmt.Sprintf("GPU-simulated-%d", i), Health: deviceplugin.Healthy}
	}
	if err := stream.Send(&deviceplugin.ListAndWatchResponse{Devices: devices}); err != nil {
		return fmt.Errorf("report devices: %w", err)
	}
	<-stream.Context().Done()
	return nil
}

// Allocate tells the container which devices are its own, the way the NVIDIA plugin does.
func (p *plugin) Allocate(_ context.Context, request *deviceplugin.AllocateRequest) (*deviceplugin.AllocateResponse, error) {
	response := &deviceplugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &deviceplugin.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}

// waitForKubelet returns once the kubelet's socket exists: the kubelet empties that folder when it starts, so a
// socket made earlier would vanish.
func waitForKubelet(ctx context.Context) error {
	return retry(ctx, "wait for the kubelet", func() error {
		_, err := os.Stat(deviceplugin.KubeletSocket)
		return err
	})
}

func serve(p *plugin) (<-chan error, error) {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the kubelet: %w", err)
	}
	server := grpc.NewServer()
	deviceplugin.RegisterDevicePluginServer(server, p)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	return failed, nil
}

func registerUntilAccepted(ctx context.Context, resource string) error {
	conn, err := grpc.NewClient("unix://"+deviceplugin.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the kubelet: %w", err)
	}
	defer conn.Close()
	client := deviceplugin.NewRegistrationClient(conn)
	return retry(ctx, "register with the kubelet", func() error {
		_, err := client.Register(ctx, &deviceplugin.RegisterRequest{
			Version: deviceplugin.Version, Endpoint: filepath.Base(socket), ResourceName: resource,
		})
		return err
	})
}

// retry runs try until it succeeds or ctx ends, and then returns try's last error.
func retry(ctx context.Context, operation string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", operation, err)
		case <-time.After(retryPause):
		}
	}
}
