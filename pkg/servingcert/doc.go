// Package servingcert makes, shares and rotates the certificate under which the metrics API is served, so that the
// kube-apiserver can verify it and nobody has to set insecureSkipTLSVerify.
//
// Every rotation makes a new CA that signs one certificate; the CA's key is thrown away at once and stored nowhere. The
// pair and the bundle of CAs that clients should trust are in one Secret, which all replicas share. A new certificate
// is used only after its CA has been published next to the old one for a while:
//
//	t0             current A                trust A
//	t0 + 2/3 life  current A, next B        trust A, B     prepared
//	+ overlap      current B                trust A, B     promoted, after Publish succeeded
//	A expired      current B                trust B        pruned
//
// Any replica may take any step; the Secret's resourceVersion makes each step happen once. The package must not know
// who trusts the bundle: that is the Publisher's part. It reads no clock: the caller passes now.
package servingcert
