// Package dial connects to servers that want to know who comes, or that have
// certificates of their own.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// LoggedIn logs in over HTTP, and connects with the session that the login has made.
func LoggedIn(ctx context.Context, base, user string) (*websocket.Conn, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Jar: jar}
	resp, err := client.PostForm(base+"/login", url.Values{"user": {user}})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()

	d := *websocket.DefaultDialer
	d.Jar = jar
	d.HandshakeTimeout = 10 * time.Second
	conn, resp, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(base, "http")+"/ws", nil)
	if errors.Is(err, websocket.ErrBadHandshake) {
		body, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return conn, err
}

// Trusting connects to a wss server with a certificate that the roots have signed.
func Trusting(ctx context.Context, url string, roots *x509.CertPool) (*websocket.Conn, error) {
	d := &websocket.Dialer{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	conn, _, err := d.DialContext(ctx, url, nil)
	return conn, err
}

// Pinned connects to a wss server whatever its certificate is called, if that is the one that is known.
func Pinned(ctx context.Context, url string, known *x509.Certificate) (*websocket.Conn, error) {
	d := &websocket.Dialer{
		NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			tc := tls.Client(nc, &tls.Config{
				InsecureSkipVerify: true, // VerifyConnection does it
				VerifyConnection: func(state tls.ConnectionState) error {
					if !state.PeerCertificates[0].Equal(known) {
						return errors.New("it is another certificate")
					}
					return nil
				},
			})
			if err := tc.HandshakeContext(ctx); err != nil {
				nc.Close()
				return nil, err
			}
			return tc, nil
		},
	}
	conn, _, err := d.DialContext(ctx, url, nil)
	return conn, err
}
