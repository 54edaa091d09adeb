import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** A client of java.net.http: java Client.java URL. */
public class Client {
    static final String[] PATHS = {
        "echo", "empty", "large", "read-fragments", "send-fragments", "answer-ping", "send-ping",
        "read-close", "send-close", "subprotocol", "read-compressed", "send-compressed", "refusal",
    };

    public static void main(String[] args) {
        HttpClient http = HttpClient.newHttpClient();
        for (String path : PATHS) {
            System.out.println(path + ": " + play(http, args[0].replace("http", "ws") + "/" + path, path));
        }
        System.exit(0); // the client's threads may linger
    }

    /** Plays a scenario and returns its result. */
    static String play(HttpClient http, String url, String path) {
        Peer peer = new Peer(path);
        WebSocket.Builder builder = http.newWebSocketBuilder();
        if (path.equals("subprotocol")) {
            builder.subprotocols("b.example", "a.example");
        }
        try {
            WebSocket socket = builder.buildAsync(URI.create(url), peer).join();
            String result = peer.result.join();
            if (path.equals("subprotocol") && !socket.getSubprotocol().equals("a.example")) {
                return "fail: got the subprotocol " + socket.getSubprotocol();
            }
            return result;
        } catch (CompletionException e) {
            if (path.equals("refusal") && e.getCause() instanceof WebSocketHandshakeException refused) {
                int status = refused.getResponse().statusCode();
                return status == 403 ? "pass" : "fail: got the status " + status;
            }
            return "fail: " + e.getCause();
        }
    }

    /** What the client does with what it receives. The library answers pings and Close frames. */
    static class Peer implements WebSocket.Listener {
        static final ByteBuffer PAYLOAD = ByteBuffer.wrap("from the peer".getBytes());

        final CompletableFuture<String> result = new CompletableFuture<>();
        final String path;
        final StringBuilder text = new StringBuilder();
        ByteBuffer data = ByteBuffer.allocate(0);
        CompletableFuture<WebSocket> sent = CompletableFuture.completedFuture(null); // all that was to be sent

        Peer(String path) {
            this.path = path;
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                String message = text.toString();
                text.setLength(0);
                switch (path) {
                    case "send-ping" -> then(() -> socket.sendPing(PAYLOAD.duplicate()));
                    case "send-close" -> then(() -> socket.sendClose(4002, "done"));
                    default -> then(() -> socket.sendText(message, true));
                }
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean last) {
            data = ByteBuffer.allocate(data.remaining() + part.remaining()).put(data).put(part).flip();
            if (last) {
                ByteBuffer message = data;
                data = ByteBuffer.allocate(0);
                int third = path.equals("send-fragments") ? message.remaining() / 3 : 0;
                if (third > 0) {
                    then(() -> socket.sendBinary(message.slice(0, third), false));
                    then(() -> socket.sendBinary(message.slice(third, third), false));
                }
                then(() -> socket.sendBinary(message.position(2 * third), true));
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            if (path.equals("send-ping") && payload.equals(PAYLOAD)) {
                then(() -> socket.sendText("pong", true));
            }
            socket.request(1);
            return null;
        }

        /** Sends something after all else, as only one message may be under way. */
        void then(Supplier<CompletableFuture<WebSocket>> send) {
            sent = sent.thenCompose(socket -> send.get());
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            boolean good = switch (path) {
                case "read-close" -> code == 4001 && reason.equals("bye");
                case "send-close" -> code == 4002;
                default -> code == 1000;
            };
            result.complete(good ? "pass" : "fail: was closed with " + code + " \"" + reason + "\"");
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable error) {
            result.complete("fail: " + error);
        }
    }
}
