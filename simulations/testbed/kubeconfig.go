package testbed

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// contextName names the only cluster, user and context of the kubeconfigs written here.
const contextName = "preheat-testbed"

// kubeconfig returns a file's content that authenticates id at server. It carries its certificates and so may be moved.
func kubeconfig(server string, ca *authority, id identity) (*clientcmdapi.Config, error) {
	cert, key, err := ca.issue(id)
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca.pem()}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}
	config.CurrentContext = contextName
	return config, nil
}

// writeKubeconfig writes a kubeconfig for id to path, readable by its owner only.
func writeKubeconfig(path, server string, ca *authority, id identity) error {
	config, err := kubeconfig(server, ca, id)
	if err != nil {
		return err
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", id.commonName, err)
	}
	return nil
}
