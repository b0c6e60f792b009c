// Package testbed starts a real Kubernetes control plane for the demo and the end-to-end tests, and stops it without a
// trace.
//
// [Start] runs etcd, kube-apiserver, kube-controller-manager (with the real HorizontalPodAutoscaler controller),
// kube-scheduler and kwok as plain processes on loopback. kwok plays kubelet: pods get a loopback address at once and
// turn Ready when their annotations say so, so that hundreds of GPU pods cost nothing. Several clusters may run side by
// side. No root is needed.
//
// [StartBox] runs the same control plane with one real node beside it (kubelet, containerd, kube-proxy), inside
// network, mount and PID namespaces of its own. It needs root on Linux and says [ErrNoBox] where that is not to be had.
//
// The package runs binaries; it does not build them (simulations/cluster does), it holds no scenario, no load and no
// assertion, and it must not import anything from Preheat: what is tested is started by the test.
package testbed
