package transport

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"aval/suite"
)

const (
	// alpn keeps other protocols out; the version is in the greeting, where a mismatch can be named.
	alpn = "aval-peer"
	// exporterLabel and exporterBytes are for the exported keying material (RFC 8446 section 7.5).
	exporterLabel = "EXPORTER-aval-peer-link"
	exporterBytes = 32
)

// tlsConfigs returns the configurations of the listening and of the dialing side. Chains and names are not
// verified, since there is no authority; in intl both sides present their node key as the certificate, which
// TLS then proves, and certificateKey reads it. Who may connect is decided in the greeting.
func tlsConfigs(s suite.Suite, self suite.Signer) (server, client *tls.Config, err error) {
	key, err := channelKey(s, self)
	if err != nil {
		return nil, nil, err
	}
	cert, err := selfSigned(key)
	if err != nil {
		return nil, nil, err
	}
	base := &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		MaxVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{alpn},
		Certificates:                []tls.Certificate{cert},
		InsecureSkipVerify:          true, //nolint:gosec // Keys are pinned: see the greeting and certificateKey.
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}
	server, client = base.Clone(), base
	if s.ID() == suite.Intl {
		server.ClientAuth = tls.RequireAnyClientCert
		server.VerifyConnection = requireNodeKey
		client.VerifyConnection = requireNodeKey
	}
	return server, client, nil
}

// channelKey returns the key of our certificate: the node key in intl, a throw-away one in sm. What TLS signs begins
// with 64 spaces (RFC 8446 section 4.4.3) and what the suite signs with the length of its tag, so that neither
// signature can be taken for the other.
func channelKey(s suite.Suite, self suite.Signer) (crypto.Signer, error) {
	if s.ID() != suite.Intl {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	var key ed25519.PrivateKey
	switch private := self.Private(); len(private) {
	case ed25519.SeedSize:
		key = ed25519.NewKeyFromSeed(private)
	case ed25519.PrivateKeySize:
		key = ed25519.PrivateKey(bytes.Clone(private))
	default:
		return nil, fmt.Errorf("transport: an Ed25519 private key of %d bytes", len(private))
	}
	if !bytes.Equal(key.Public().(ed25519.PublicKey), self.Public()) {
		return nil, errors.New("transport: the node key is not an Ed25519 key as TLS uses it")
	}
	return key, nil
}

// selfSigned wraps key in a certificate. Its dates and names mean nothing; the key is what is pinned.
func selfSigned(key crypto.Signer) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "aval node"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 section 4.1.2.5: no expiry.
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("transport: make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func requireNodeKey(state tls.ConnectionState) error {
	_, err := certificateKey(state)
	return err
}

// certificateKey returns the node key that the peer's certificate carries, as intl asks. TLS has proved it.
func certificateKey(state tls.ConnectionState) (suite.PublicKey, error) {
	if n := len(state.PeerCertificates); n != 1 {
		return nil, refuse(CauseTransport, "the peer sent %d certificates, not one", n)
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, refuse(CauseTransport, "the peer's certificate carries a %T, not an Ed25519 key", state.PeerCertificates[0].PublicKey)
	}
	return suite.PublicKey(key), nil
}

// exporterOf returns keying material that only the two ends of this channel know.
func exporterOf(state tls.ConnectionState) ([]byte, error) {
	if state.NegotiatedProtocol != alpn {
		return nil, refuse(CauseTransport, "the peer does not speak %s", alpn)
	}
	exporter, err := state.ExportKeyingMaterial(exporterLabel, nil, exporterBytes)
	if err != nil {
		return nil, fmt.Errorf("transport: export keying material: %w", err)
	}
	return exporter, nil
}
