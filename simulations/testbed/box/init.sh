#!/bin/sh
# First process of a box: makes what the kubelet expects of a machine, private to the box's namespaces, says "ready" and
# then only waits. Everything it does vanishes with it. Wants RUN, NODE_IP, NODE_NET, KWOK_PODS and PAUSE set.
set -eu
[ $$ = 1 ] || { echo "init.sh: not the first process of a PID namespace; outside it would cover the machine's folders" >&2; exit 1; }

mount --make-rprivate /
mount -t proc proc /proc
mkdir -p "$RUN/kubelet" "$RUN/containerd" "$RUN/cni" "$RUN/sysctl"

mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/kubelet /var/lib/cni
mount --bind "$RUN/kubelet" /var/lib/kubelet

# The kubelet insists on these values and would set them for the whole machine: show it files that have them already.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
	kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	name=${setting%=*}
	file=$RUN/sysctl/$(echo "$name" | tr / .)
	echo "${setting#*=}" >"$file"
	mount --bind "$file" "/proc/sys/$name"
done

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
# The node's address needs a device that is up and has a way out, so that ClusterIPs have a route; a pair of veths does,
# though nobody is at the other end.
ip link add node0 type veth peer name node1
ip link set node0 up
ip link set node1 up
ip addr add "$NODE_IP/$NODE_NET" dev node0
ip route add default dev node0
# Every address of a simulated pod is local: programs in the box's network can listen on it.
ip route add local "$KWOK_PODS" dev lo

echo ready
exec "$PAUSE"
