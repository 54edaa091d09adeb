package websocket

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
)

// RFC 1928, 4: an address where the target is one, else its name.
func TestAppendSOCKSRequest(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"192.0.2.1:80", "05 01 00 01 c0000201 0050"},
		{"[2001:db8::1]:443", "05 01 00 04 20010db8000000000000000000000001 01bb"},
		{"[::ffff:192.0.2.1]:80", "05 01 00 01 c0000201 0050"},
		{"example.com:8080", "05 01 00 03 0b 6578616d706c652e636f6d 1f90"},
	} {
		target, err := parseProxyTarget(tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendSOCKSRequest(nil, target)
		if want := unhex(t, tt.want); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%s: got % x, %v, want % x", tt.addr, got, err, want)
		}
	}
	long, err := parseProxyTarget(strings.Repeat("a", 256) + ":80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appendSOCKSRequest(nil, long); err == nil || err.Error() != "proxy target has a host name of 256 bytes, SOCKS allows 255" {
		t.Errorf("got %v, want an error for 256 bytes", err)
	}
}

// RFC 1929, 2: a user name of 1 to 255 bytes and a password of as many, or none.
func TestAppendSOCKSPassword(t *testing.T) {
	got, err := appendSOCKSPassword(nil, url.UserPassword("me", "secret"))
	if want := "\x01\x02me\x06secret"; string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := appendSOCKSPassword(nil, url.User("me")); string(got) != "\x01\x02me\x00" || err != nil {
		t.Errorf("got %q, %v, want an empty password", got, err)
	}
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		user *url.Userinfo
		want string
	}{
		{url.UserPassword("", "x"), "proxy user name has 0 bytes, SOCKS requires 1 to 255"},
		{url.UserPassword(long, "x"), "proxy user name has 256 bytes, SOCKS requires 1 to 255"},
		{url.UserPassword("me", long), "proxy password has 256 bytes, SOCKS allows 255"},
	} {
		if _, err := appendSOCKSPassword(nil, tt.user); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
