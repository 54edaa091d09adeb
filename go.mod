module github.com/switching-protocols/websocket

go 1.23
