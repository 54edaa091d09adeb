package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/rpc"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/switching-protocols/websocket"
	"golang.org/x/crypto/ssh"
)

// Words is a service of net/rpc.
type Words struct{}

// Sort answers with the words in order.
func (Words) Sort(words []string, sorted *[]string) error {
	if len(words) == 0 {
		return errors.New("no words")
	}
	*sorted = slices.Sorted(slices.Values(words))
	return nil
}

func TestRPCOverStream(t *testing.T) {
	server, client := testStreams(t, websocket.BinaryMessage)
	service := rpc.NewServer()
	if err := service.Register(Words{}); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { service.ServeConn(server) }) // until the client closes
	calls := rpc.NewClient(client)
	many := make([]string, 20_000) // takes several messages
	for i := range many {
		many[i] = strings.Repeat("x", i%37)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for _, words := range [][]string{{"b", "a"}, many} {
				var got []string
				err := calls.Call("Words.Sort", words, &got)
				if want := slices.Sorted(slices.Values(words)); err != nil || !slices.Equal(got, want) {
					t.Errorf("got %d words, %v, want %d in order, nil", len(got), err, len(want))
				}
			}
			var got []string
			var remote rpc.ServerError
			if err := calls.Call("Words.Sort", []string{}, &got); !errors.As(err, &remote) {
				t.Errorf("got %v, want the server's error", err)
			}
		})
	}
	callers.Wait()
	if err := calls.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
	serving.Wait()
}

// TLS from end to end, whoever may be between: the certificate is checked within.
func TestTLSThroughStream(t *testing.T) {
	srv := httptest.NewTLSServer(nil) // for its certificate, of example.com
	srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())

	for _, tt := range []struct {
		name  string
		valid bool
	}{{"example.com", true}, {"other.example", false}} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := testStreams(t, websocket.BinaryMessage)
			server := tls.Server(near, &tls.Config{Certificates: srv.TLS.Certificates})
			client := tls.Client(far, &tls.Config{RootCAs: roots, ServerName: tt.name})
			var echo sync.WaitGroup
			echo.Go(func() {
				_, err := io.Copy(server, server)
				if (err == nil) != tt.valid {
					t.Errorf("server: got error %v, want one: %v", err, !tt.valid)
				}
				server.Close()
			})
			err := client.Handshake()
			if !tt.valid {
				var hostname x509.HostnameError
				if !errors.As(err, &hostname) || hostname.Host != tt.name {
					t.Errorf("got %v, want that the certificate is for another host", err)
				}
				client.Close()
				echo.Wait()
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sent := bytes.Repeat([]byte("through TLS through WebSocket "), 10_000)
			var writer sync.WaitGroup
			writer.Go(func() {
				if _, err := client.Write(sent); err != nil {
					t.Error(err)
				}
			})
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("got %v or other bytes, want the echo", err)
			}
			writer.Wait()
			if err := client.Close(); err != nil {
				t.Errorf("Close: got %v, want nil", err)
			}
			echo.Wait()
		})
	}
}

// An SSH client runs a command, with its input, output and exit status.
func TestSSHThroughStream(t *testing.T) {
	near, far := testStreams(t, websocket.BinaryMessage)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() {
		if err := serveSSH(near, hostKey); err != nil {
			t.Errorf("server: %v", err)
		}
	})

	conn, channels, requests, err := ssh.NewClientConn(far, "host", &ssh.ClientConfig{
		User:            "me",
		Auth:            []ssh.AuthMethod{ssh.Password("secret")},
		HostKeyCallback: ssh.FixedHostKey(hostKey.PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(conn, channels, requests)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	input := strings.Repeat("all of this input\n", 20_000)
	session.Stdin = strings.NewReader(input)
	output, err := session.Output("upper")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		t.Errorf("got %v, want exit status 7", err)
	}
	if string(output) != strings.ToUpper(input) {
		t.Errorf("got %d bytes of output, want %d in capitals", len(output), len(input))
	}
	if err := client.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
}

// serveSSH lets one user in, runs the command "upper", and serves until the client
// is gone.
func serveSSH(c net.Conn, hostKey ssh.Signer) error {
	config := &ssh.ServerConfig{PasswordCallback: func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if m.User() != "me" || string(password) != "secret" {
			return nil, errors.New("denied")
		}
		return nil, nil
	}}
	config.AddHostKey(hostKey)
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests) // ends with the connection
	for ch := range channels {
		channel, requests, err := ch.Accept()
		if err != nil {
			return err
		}
		for request := range requests {
			var command struct{ Line string }
			if request.Type != "exec" || ssh.Unmarshal(request.Payload, &command) != nil || command.Line != "upper" {
				return errors.New("not the command that was expected")
			}
			if err := request.Reply(true, nil); err != nil {
				return err
			}
			input, err := io.ReadAll(channel)
			if err != nil {
				return err
			}
			if _, err := channel.Write(bytes.ToUpper(input)); err != nil {
				return err
			}
			if _, err := channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{7})); err != nil {
				return err
			}
			if err := channel.Close(); err != nil && err != io.EOF {
				return err
			}
		}
	}
	return nil
}
