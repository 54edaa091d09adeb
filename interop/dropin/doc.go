// Package dropin is the parent of small programs for gorilla/websocket. They
// import github.com/gorilla/websocket, and this module's go.mod replaces that by
// this library: they show that such programs compile and run unchanged. Without
// the replace line they run with gorilla/websocket itself.
package dropin
