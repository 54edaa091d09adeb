package main

// The programs, in the order of their size.
var programs = []program{
	{
		name: "jsonrpc2", module: "github.com/sourcegraph/jsonrpc2", version: "v0.2.3",
		kind: "JSON-RPC", packages: []string{"./..."}, short: true,
	},
	{
		name: "melody", module: "github.com/olahol/melody", version: "v1.1.4",
		kind: "rooms and broadcasts", packages: []string{"."}, short: true,
		// A session is registered after its client may have sent: hangs now and then, with gorilla, too.
		skip: "^TestBroadcast$",
	},
	{
		name: "remotedialer", module: "github.com/rancher/remotedialer", version: "v0.6.1",
		kind: "tunnels", packages: []string{"./..."}, short: true,
	},
	{
		name: "mochi-mqtt", module: "github.com/mochi-mqtt/server/v2", version: "v2.7.9",
		kind: "MQTT broker", packages: []string{"./listeners/..."},
	},
	{
		name: "go-socket.io", module: "github.com/googollee/go-socket.io", version: "v1.7.0",
		kind: "socket.io", packages: []string{"./..."},
		skip: "^TestHandlerCall$", // the names of its subtests have addresses in them
	},
	{
		name: "slack", module: "github.com/slack-go/slack", version: "v0.35.0",
		kind: "Slack's real-time API", packages: []string{".", "./socketmode/...", "./slacktest/..."},
	},
	{
		name: "gqlgen", module: "github.com/99designs/gqlgen", version: "v0.17.98",
		kind: "GraphQL subscriptions", packages: []string{"./graphql/handler/transport/...", "./client/..."},
	},
	{
		name: "cometbft", module: "github.com/cometbft/cometbft", version: "v1.0.1",
		kind: "blockchain RPC", packages: []string{"./rpc/jsonrpc/..."},
	},
	{
		name: "client-go", module: "k8s.io/client-go", version: "v0.37.2",
		kind: "Kubernetes client", packages: []string{"./transport/websocket/...", "./tools/remotecommand/...", "./tools/portforward/..."},
	},
	{
		name: "go-ethereum", module: "github.com/ethereum/go-ethereum", version: "v1.17.10",
		kind: "Ethereum", packages: []string{"./rpc/...", "./node/...", "./graphql/..."},
	},
	{
		name: "libp2p", module: "github.com/libp2p/go-libp2p", version: "v0.51.0",
		kind: "peer to peer", packages: []string{"./p2p/transport/websocket/..."},
		skip: "^TestSocksProxy$", // looks for the text of an error of a SOCKS5 proxy: see MIGRATING.md
	},
}
