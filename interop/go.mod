module github.com/switching-protocols/websocket/interop

go 1.25

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.22.1
	github.com/switching-protocols/websocket v0.0.0
	golang.org/x/crypto v0.46.0
	golang.org/x/net v0.48.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	golang.org/x/sys v0.39.0 // indirect
)

replace github.com/switching-protocols/websocket => ../
