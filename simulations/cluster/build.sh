#!/bin/sh
# Builds the Kubernetes components that the demo and the end-to-end tests run, from the module versions pinned here.
#
#   build.sh [controlplane|node|prometheus|picker|all]   build what is missing; the last line on stdout is the bin directory
#                                                        (all prints four, in this order)
#   build.sh where [controlplane|node|prometheus|picker] print the bin directory without building
#
# controlplane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok, kubectl. Needs Go only.
# node:         kubelet, kube-proxy, containerd, runc, CNI plugins and the small programs beside this script.
#               Needs a C compiler and libseccomp for runc, nft for kube-proxy; installs them with apt-get when root.
# prometheus:   prometheus. Needs Go only.
# picker:       the Gateway API inference extension's endpoint picker, its CRDs, and ask, which sends it requests. Needs Go only.
#
# The directory's name carries a hash of the pinned versions, so a change of version never meets an old binary.
# PREHEAT_CACHE chooses where (default: ${XDG_CACHE_HOME:-~/.cache}/preheat).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${PREHEAT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/preheat}
recipe=1 # raise it when flags below change in a way that needs a rebuild
heartbeat=15 # seconds between signs of life

compiler= beating=
trap 'kill $compiler $beating 2>/dev/null; exit 130' INT TERM # background jobs of a script ignore Ctrl-C

log() { printf '%s\n' "$*" >&2; }
die() { log "build.sh: $*"; exit 1; }

# version MODULE [FOLDER]: the version that go.mod pins
version() { awk -v m="$1" '$1 == m && $2 ~ /^v/ { print $2; exit }' "$here/${2:-.}/go.mod"; }

# key FILE...: first 12 digits of the hash over the files and the recipe
key() { (cd "$here" && { echo "$recipe $(uname -sm)"; cat "$@"; } | sha256sum | cut -c1-12); }

dir_of() {
	case $1 in
	controlplane) echo "$cache/cluster-$(key go.mod go.sum)" ;;
	node) echo "$cache/node-$(key go.mod go.sum containers/go.mod containers/go.sum pause/main.go mkimg/main.go gpuplugin/main.go)" ;;
	prometheus) echo "$cache/prometheus-$(key prometheus/go.mod prometheus/go.sum)" ;;
	picker) echo "$cache/picker-$(key picker/go.mod picker/go.sum picker/ask/main.go)" ;;
	*) die "unknown set \"$1\": want controlplane, node, prometheus or picker" ;;
	esac
}

# binary NAME FOLDER CGO TAGS LDFLAGS PACKAGE: builds one binary to a temporary name, then renames it into place
binary() {
	name=$1
	[ -x "$bin/$name" ] && { log "$(printf '%-26s present' "$name")"; return; }
	mkdir -p "$(dirname "$bin/$name")"
	started=$(date +%s)
	(cd "$here/$2" && GOFLAGS= GOWORK=off CGO_ENABLED=$3 exec go build -buildvcs=false -trimpath -tags "$4" -ldflags "$5" -o "$bin/$name.tmp.$$" "$6") >&2 &
	compiler=$!
	beat "$name" "$compiler" &
	beating=$!
	status=0
	wait "$compiler" || status=$?
	kill "$beating" 2>/dev/null || true
	wait "$beating" 2>/dev/null || true
	[ "$status" = 0 ] || { rm -f "$bin/$name.tmp.$$"; die "$name: go build failed, see above"; }
	mv "$bin/$name.tmp.$$" "$bin/$name"
	log "$(printf '%-26s built in %d s' "$name" $(($(date +%s) - started)))"
}

# beat NAME PID: says every now and then that PID is still compiling NAME
beat() {
	elapsed=0
	while kill -0 "$2" 2>/dev/null; do
		sleep 1
		elapsed=$((elapsed + 1))
		[ $((elapsed % heartbeat)) != 0 ] || log "$(printf '%-26s still compiling, %d s so far' "$1" "$elapsed")"
	done
}

# kubernetes BINARY: one of k8s.io/kubernetes/cmd, carrying its true version
kubernetes() {
	v=$(version k8s.io/kubernetes)
	minor=${v#v1.}
	x=k8s.io/component-base/version
	binary "$1" . 0 "" "-s -w -X $x.gitVersion=$v -X $x.gitMajor=1 -X $x.gitMinor=${minor%%.*} -X $x.gitTreeState=clean" "k8s.io/kubernetes/cmd/$1"
}

build_controlplane() {
	log "Building Kubernetes $(version k8s.io/kubernetes), etcd $(version go.etcd.io/etcd/server/v3) and kwok $(version sigs.k8s.io/kwok) into $bin"
	[ -x "$bin/kube-apiserver" ] || log "The first build takes about 8 minutes on two cores; later ones are instant."
	for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do kubernetes $name; done
	binary kwok . 0 "" "-s -w" sigs.k8s.io/kwok/cmd/kwok
	binary etcd . 0 "" "-s -w" go.etcd.io/etcd/server/v3
}

# need COMMAND-OR-PKGCONFIG PACKAGE: adds the package to $missing unless it is there
need() {
	case $1 in
	pkg:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pkg:}" ;;
	*) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
	esac || missing="$missing $2"
}

packages_for_node() {
	missing=
	need nft nftables
	need ip iproute2
	need nsenter util-linux
	need gcc gcc
	need pkg-config pkg-config
	need pkg:libseccomp libseccomp-dev
	[ -n "$missing" ] || return 0
	log "Missing Debian packages:$missing"
	[ "$(id -u)" = 0 ] || die "not root, so please install them: apt-get install --no-install-recommends$missing"
	command -v apt-get >/dev/null || die "no apt-get here: install the equivalents of$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -qq --no-install-recommends $missing >&2 2>/dev/null ||
		{ apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends $missing >&2; } ||
		die "apt-get could not install$missing"
}

build_node() {
	packages_for_node
	runc=$(version github.com/opencontainers/runc containers)
	containerd=$(version github.com/containerd/containerd/v2 containers)
	cni=github.com/containernetworking/plugins/plugins
	log "Building kubelet and kube-proxy $(version k8s.io/kubernetes), containerd $containerd, runc $runc and CNI plugins into $bin"
	for name in kubelet kube-proxy; do kubernetes $name; done
	for name in containerd containerd-shim-runc-v2 ctr; do
		binary $name containers 0 "no_btrfs no_devmapper no_zfs no_aufs" "-s -w -X github.com/containerd/containerd/v2/version.Version=$containerd" github.com/containerd/containerd/v2/cmd/$name
	done
	binary runc containers 1 "netgo osusergo seccomp" "-s -w -extldflags=-static -X main.version=${runc#v}" github.com/opencontainers/runc
	for name in main/ptp main/loopback ipam/host-local; do
		binary "cni/${name#*/}" containers 0 "" "-s -w" $cni/$name
	done
	for name in pause mkimg gpuplugin; do binary $name . 0 "" "-s -w" ./$name; done
}

build_prometheus() {
	log "Building Prometheus $(version github.com/prometheus/prometheus prometheus) into $bin"
	[ -x "$bin/prometheus" ] || log "The first build takes about 5 minutes on two cores; later ones are instant."
	binary prometheus prometheus 0 "" "-s -w" github.com/prometheus/prometheus/cmd/prometheus
}

build_picker() {
	epp=sigs.k8s.io/gateway-api-inference-extension
	log "Building the endpoint picker $(version $epp picker) into $bin"
	[ -x "$bin/epp" ] || log "The first build takes about 4 minutes on two cores; later ones are instant."
	binary epp picker 0 "" "-s -w" $epp/cmd/epp
	binary ask picker 0 "" "-s -w" ./ask
	[ -d "$bin/crds" ] && return
	from=$(cd "$here/picker" && GOFLAGS= GOWORK=off go list -m -f '{{.Dir}}' $epp)
	cp -R "$from/config/crd/bases" "$bin/crds.tmp.$$" && chmod -R u+w "$bin/crds.tmp.$$" && mv "$bin/crds.tmp.$$" "$bin/crds"
}

# build SET: under a lock, so that two builds at the same time do the work once
build() {
	bin=$(dir_of "$1")
	mkdir -p "$bin"
	if command -v flock >/dev/null; then
		exec 9>"$bin/.lock"
		flock -n 9 || { log "Another build is at work in $bin; waiting for it."; flock 9; }
	fi
	"build_$1"
	exec 9>&-
	echo "$bin"
}

command -v go >/dev/null || die "Go is not installed"
case ${1:-all} in
where) dir_of "${2:-controlplane}" ;;
controlplane | node | prometheus | picker) build "$1" ;;
all) build controlplane && build node && build prometheus && build picker ;;
*) die "usage: build.sh [controlplane|node|prometheus|picker|all] | where [controlplane|node|prometheus|picker]" ;;
esac
